"""Write a workbook with a formula, a style and a chart; read it back."""

import io

from openpyxl import Workbook, load_workbook
from openpyxl.chart import BarChart, Reference
from openpyxl.styles import Font


def exercise():
    book = Workbook()
    sheet = book.active
    for row in (["name", "size"], ["a", 1], ["b", 2]):
        sheet.append(row)
    sheet["A1"].font = Font(bold=True)
    sheet["B4"] = "=SUM(B2:B3)"
    chart = BarChart()
    chart.add_data(Reference(sheet, min_col=2, min_row=1, max_row=3), titles_from_data=True)
    sheet.add_chart(chart, "D1")
    data = io.BytesIO()
    book.save(data)
    read = load_workbook(data).active
    return [[list(row) for row in read.values], read["A1"].font.b, len(read._charts)]
