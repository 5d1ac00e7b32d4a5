"""What the OTLP specification asks of an ExportTraceServiceRequest in JSON: names and types of the fields, ids in hexadecimal,
64-bit numbers as strings, enumerations as numbers, and spans that lie within time.

Source: opentelemetry-proto 1.x (trace/v1/trace.proto, common/v1/common.proto), OTLP 1.x "JSON Protobuf Encoding"."""
import re

VALUES = {'stringValue': str, 'boolValue': bool, 'intValue': str, 'doubleValue': (int, float)}
SPAN = {'traceId', 'spanId', 'parentSpanId', 'name', 'kind', 'startTimeUnixNano', 'endTimeUnixNano', 'attributes', 'status'}


def check_attributes(attributes):
    keys = [attribute['key'] for attribute in attributes]
    assert len(set(keys)) == len(keys), keys
    for attribute in attributes:
        assert set(attribute) == {'key', 'value'} and attribute['key']
        (kind, value), = attribute['value'].items()
        assert isinstance(value, VALUES[kind]), attribute
        if kind == 'intValue':
            assert re.fullmatch(r'-?\d+', value), attribute


def check_span(span):
    assert set(span) <= SPAN, set(span) - SPAN
    for key, length in [('traceId', 32), ('spanId', 16), ('parentSpanId', 16)]:
        if key in span:
            assert re.fullmatch('[0-9a-f]{%d}' % length, span[key]) and set(span[key]) != {'0'}, span[key]
    assert isinstance(span['name'], str) and span['name']
    assert span['kind'] in {1, 2, 3, 4, 5}
    for key in ['startTimeUnixNano', 'endTimeUnixNano']:
        assert re.fullmatch(r'\d+', span[key]), span[key]
    assert int(span['startTimeUnixNano']) <= int(span['endTimeUnixNano'])
    assert span.get('status', {}).get('code', 0) in {0, 1, 2}
    check_attributes(span.get('attributes', []))


def check_request(request):
    """Returns all spans."""
    assert set(request) == {'resourceSpans'}
    spans = []
    for resource in request['resourceSpans']:
        assert set(resource) <= {'resource', 'scopeSpans', 'schemaUrl'}
        check_attributes(resource['resource']['attributes'])
        assert 'service.name' in [attribute['key'] for attribute in resource['resource']['attributes']]
        for scope in resource['scopeSpans']:
            assert set(scope['scope']) <= {'name', 'version', 'attributes'}
            spans += scope['spans']
    ids = [span['spanId'] for span in spans]
    assert len(set(ids)) == len(ids)
    for span in spans:
        check_span(span)
    return spans
