// node duckdb.mjs DOCUMENTS QUESTION: counts the lists for each user in DuckDB's memory, in three ways. Prints for each its name, how
// many of the lists it counted, the counts by user, and seconds by user.
import {readFileSync} from 'node:fs'
import {DuckDBInstance} from '@duckdb/node-api'

const [documents, question] = process.argv.slice(2)
const {lists, users} = JSON.parse(readFileSync(question, 'utf8'))
const instance = await DuckDBInstance.create(':memory:', {threads: process.env.THREADS ?? '2', memory_limit: '4GB'})
const connection = await instance.connect()

const quoted = values => values.map(value => (typeof value === 'number' ? value : `'${value}'`)).join(', ')
const wants = list => `type IN (${quoted(list.type)}) AND state IN (${quoted(list.state)})`
const sees = user => `(security_uid IN (${quoted(user.uids)}) OR owner = ${user.id})`

async function ask(statement) {
  const answer = await connection.runAndReadAll(statement)
  return answer.getRows().map(row => row.map(Number))
}

async function each(user, some) {
  const counts = []
  for (const list of some) counts.push((await ask(`SELECT count(*) FROM document WHERE ${wants(list)} AND ${sees(user)}`))[0][0])
  return counts
}

async function filter(user, some) {
  return (await ask(`SELECT ${some.map(list => `count(*) FILTER (WHERE ${wants(list)})`).join(', ')} FROM document WHERE ${sees(user)}`))[0]
}

async function join(user, some) {
  const counts = new Array(some.length).fill(0)
  const rows = await ask(`WITH cell AS MATERIALIZED (SELECT type, state, count(*) AS n FROM document WHERE ${sees(user)} GROUP BY ALL)
    SELECT t.list, sum(n) FROM cell JOIN list_type t ON t.type = cell.type JOIN list_state s ON s.state = cell.state AND s.list = t.list GROUP BY 1`)
  for (const [list, count] of rows) counts[list] = count
  return counts
}

async function define() {
  await connection.run('CREATE TABLE document (id INTEGER, type VARCHAR, state VARCHAR, owner INTEGER, security_uid INTEGER)')
  await connection.run(`COPY document FROM '${documents}' (DELIMITER '\t', HEADER false)`)
  for (const column of ['type', 'state']) {
    const pairs = lists.flatMap((list, place) => list[column].map(value => `(${place}, '${value}')`))
    await connection.run(`CREATE TABLE list_${column} AS SELECT * FROM (VALUES ${pairs.join(', ')}) AS v(list, ${column})`)
  }
}

async function measure(name, count, some) {
  const found = {name, lists: some.length, counts: [], seconds: []}
  for (const user of users) {
    const begin = performance.now()
    found.counts.push(await count(user, some))
    found.seconds.push((performance.now() - begin) / 1000)
  }
  return found
}

await define()
console.log(JSON.stringify([await measure('one query each', each, lists.slice(0, 100)), await measure('COUNT FILTER', filter, lists.slice(0, 100)),
  await measure('group once and join', join, lists)]))
