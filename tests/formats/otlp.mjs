// Reads an ExportTraceServiceRequest in JSON from standard input, and writes what OpenTelemetry's own schema keeps of it: the
// request goes through the protocol buffers that its collectors speak. What the schema does not know is not in the answer.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const require = createRequire(new URL('../../web/package.json', import.meta.url))
const { opentelemetry } = require('@opentelemetry/otlp-transformer/build/src/generated/root.js')
const { ExportTraceServiceRequest } = opentelemetry.proto.collector.trace.v1
const IDS = new Set(['traceId', 'spanId', 'parentSpanId'])

const request = JSON.parse(readFileSync(0, 'utf8'))
// OTLP's JSON writes ids in hexadecimal, where that of protocol buffers would have base64.
const bytes = ExportTraceServiceRequest.encode(ExportTraceServiceRequest.fromObject(withIds(request, (id) => Buffer.from(id, 'hex')))).finish()
const read = ExportTraceServiceRequest.toObject(ExportTraceServiceRequest.decode(bytes), { longs: String, enums: Number })
process.stdout.write(JSON.stringify(withIds(read, (id) => Buffer.from(id).toString('hex'))))

function withIds(value, change) {
  if (Array.isArray(value)) return value.map((one) => withIds(one, change))
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, IDS.has(key) ? change(one) : withIds(one, change)]))
}
