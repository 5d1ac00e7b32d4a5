"""CSV by Python's reader; OTLP by the rules of its specification, and by OpenTelemetry's own schema."""
import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from otlp_rules import check_request  # noqa: E402


def test_csv_is_read_back_by_python(export):
    text = export('shop/71', '--format', 'csv', '--report', 'method').decode()
    rows = list(csv.DictReader(io.StringIO(text, newline=''), strict=True))
    assert [row['method'] for row in rows][:1] == ['model.sale.sale.write']
    assert float(rows[0]['time']) == 1.25


def test_csv_keeps_a_hostile_name_in_its_cell(export):
    rows = list(csv.DictReader(io.StringIO(export('7b', '--format', 'csv').decode(), newline=''), strict=True))
    assert len(rows) == 2
    assert rows[1]['method'].startswith('model.\x1b[2J\tevil\n')


def test_traces_keep_the_rules_of_otlp(export):
    spans = check_request(json.loads(export('shop/71', '--format', 'otlp-json')))
    assert len(spans) == 5
    roots = [span for span in spans if 'parentSpanId' not in span]
    assert {span['name'] for span in roots} == {'model.sale.sale.read', 'model.sale.sale.write', 'model.party.party.search'}
    check_request(json.loads(export('7b', '--format', 'otlp-json')))


def test_the_schema_of_opentelemetry_knows_every_field_and_value_of_the_traces(export):
    request = json.loads(export('shop/71', '--format', 'otlp-json'))
    read = subprocess.run(['node', Path(__file__).with_name('otlp.mjs')], input=json.dumps(request), capture_output=True, text=True,
        check=True, timeout=60)
    assert json.loads(read.stdout) == request


def test_the_default_is_speedscope_and_a_file_on_its_own(export):
    assert json.loads(export('shop/71', '3'))['exporter'] == 'headroom'
