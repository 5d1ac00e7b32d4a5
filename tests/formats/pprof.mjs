// Reads a profile from standard input by the schema that pprof itself is built from, and writes it as JSON. Debian has the schema
// within the sources of pprof; the tool itself would bring a Go toolchain of 450 MB.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { gunzipSync } from 'node:zlib'

const require = createRequire(new URL('../../web/package.json', import.meta.url))
const protobuf = require('protobufjs')

const SCHEMA = '/usr/share/gocode/src/github.com/google/pprof/proto/profile.proto'
const Profile = protobuf.loadSync(SCHEMA).lookupType('perftools.profiles.Profile')
const bytes = gunzipSync(readFileSync(0))
const profile = Profile.decode(bytes)
if (Profile.encode(profile).finish().length !== bytes.length) throw new Error('the schema does not know all of it')
process.stdout.write(JSON.stringify(Profile.toObject(profile, { longs: Number, defaults: true, arrays: true })))
