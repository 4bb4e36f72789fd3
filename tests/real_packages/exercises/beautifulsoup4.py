"""Parse HTML, search it by tag, by CSS and by function, and change it."""

from bs4 import BeautifulSoup

TEXT = "<html><body><p class='a'>one <b>two</b></p><p id=x>three</p></body></html>"


def exercise():
    soup = BeautifulSoup(TEXT, "html.parser")
    soup.find(id="x").string = "<four>"
    soup.b.wrap(soup.new_tag("i"))
    return [soup.select("p.a > i b")[0].text, [p.get_text() for p in soup.find_all(lambda t: t.name == "p")], str(soup)]
