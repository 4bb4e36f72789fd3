"""Let a client's and a server's state machine talk."""

import h11


def exercise():
    client, server = h11.Connection(h11.CLIENT), h11.Connection(h11.SERVER)
    request = h11.Request(method="GET", target="/", headers=[("Host", "example.com")])
    server.receive_data(client.send(request) + client.send(h11.EndOfMessage()))
    got = [type(server.next_event()).__name__ for _ in range(2)]
    data = server.send(h11.Response(status_code=200, headers=[("Content-Length", "2")]))
    client.receive_data(data + server.send(h11.Data(data=b"ok")) + server.send(h11.EndOfMessage()))
    events = [client.next_event() for _ in range(3)]
    try:
        client.send(request)
    except h11.LocalProtocolError as error:
        refused = type(error).__name__
    return [got, events[0].status_code, bytes(events[1].data).decode(), str(server.our_state), refused]
