"""Encode and decode a sequence of one's own by DER."""

from pyasn1.codec.der import decoder, encoder
from pyasn1.codec.native import encoder as native
from pyasn1.error import PyAsn1Error
from pyasn1.type import namedtype, univ


class Record(univ.Sequence):
    componentType = namedtype.NamedTypes(
        namedtype.NamedType("number", univ.Integer()), namedtype.DefaultedNamedType("flag", univ.Boolean(False))
    )


def exercise():
    record = Record()
    record["number"] = 1000
    data = encoder.encode(record)
    decoded, rest = decoder.decode(data, asn1Spec=Record())
    try:
        decoder.decode(b"\x30\x05\x02")
    except PyAsn1Error as error:
        refused = type(error).__name__
    return [data.hex(), dict(native.encode(decoded)), rest.hex(), refused]
