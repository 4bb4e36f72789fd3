"""Send signals to receivers, strong and weak ones, by sender and by name."""

import blinker


class Sender:
    pass


def exercise():
    namespace, got = blinker.Namespace(), []
    started = namespace.signal("started")
    sender = Sender()

    def receive(who, **values):
        got.append([type(who).__name__, values])
        return len(got)

    started.connect(receive, sender=sender)
    blinker.signal("wrapped").connect(receive)
    answers = [answer for _, answer in started.send(sender, n=1)]
    started.send(Sender(), n=2)
    blinker.signal("wrapped").send(None, n=3)
    blinker.signal("wrapped").disconnect(receive)
    with started.muted():
        started.send(sender, n=4)
    return [got, answers, bool(started.receivers)]
