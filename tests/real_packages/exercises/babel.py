"""Format numbers, dates and plurals of several languages; read and write a catalogue."""

import io
from datetime import date

from babel import Locale, UnknownLocaleError, numbers
from babel.dates import format_date
from babel.messages.pofile import read_po, write_po


def exercise():
    catalogue = read_po(io.StringIO('msgid "a"\nmsgstr "b"\n'))
    catalogue.add("c", "d")
    out = io.BytesIO()
    write_po(out, catalogue, omit_header=True)
    try:
        Locale.parse("xx_YY")
    except UnknownLocaleError as error:
        refused = str(error)
    return [
        numbers.format_currency(1234.5, "EUR", locale="de_DE"), format_date(date(2024, 2, 3), "full", locale="fr"),
        Locale("ru").plural_form(3), Locale("de").get_display_name("en"), out.getvalue().decode(), refused,
    ]  # fmt: skip
