"""Turn XML into a dict and back."""

import xmltodict


def exercise():
    document = xmltodict.parse("<a x='1'><b>t</b><b/></a>", force_list=("c",))
    streamed = []
    xmltodict.parse(
        "<a><b>1</b><b>2</b></a>", item_depth=2, item_callback=lambda path, item: streamed.append(item) or True
    )
    return [document, xmltodict.unparse(document, pretty=True), streamed]
