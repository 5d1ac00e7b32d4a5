import { expect, test } from 'vitest'
import { format, tokens } from './format'

const squeeze = (text: string) => text.replace(/\s+/g, '')

test('each clause begins a line', () => {
  expect(format('SELECT "a"."id", COUNT(*) FROM "sale_line" AS "a" LEFT JOIN "sale_sale" AS "b" ON ("a"."sale" = "b"."id") ' +
    'WHERE ("a"."sale" IN (%s, %s)) ORDER BY "a"."id" LIMIT 10')).toBe([
    'SELECT "a"."id", COUNT(*)',
    'FROM "sale_line" AS "a"',
    'LEFT JOIN "sale_sale" AS "b" ON ("a"."sale" = "b"."id")',
    'WHERE ("a"."sale" IN (%s, %s))',
    'ORDER BY "a"."id"',
    'LIMIT 10',
  ].join('\n'))
})

test('a query inside another stands deeper', () => {
  expect(format('SELECT 1 WHERE x IN (SELECT y FROM z) AND true')).toBe(
    ['SELECT 1', 'WHERE x IN (', '  SELECT y', '  FROM z', ') AND true'].join('\n'))
})

test('strings, quoted names and comments are left alone', () => {
  const sql = `SELECT 'it''s  FROM; here', "order  by" /* where */ FROM t -- and\nWHERE $x$ select $x$ = $1`
  const parts = tokens(sql).map((token) => token.text)
  expect(parts).toContain(`'it''s  FROM; here'`)
  expect(parts).toContain('"order  by"')
  expect(parts).toContain('$x$ select $x$')
  expect(format(sql)).toContain(`'it''s  FROM; here'`)
})

test('only white space changes, whatever the text is', () => {
  for (const sql of [`)))((`, `'open`, `"`, `select/*`, '\u202e<b>é漢', 'UPDATE a SET b = 1 WHERE c BETWEEN 1 AND 2',
    'INSERT INTO "x" ("a", "b") VALUES (1, 2)', 'a%(name)s::int||$1']) {
    expect(squeeze(format(sql))).toBe(squeeze(sql))
  }
})

test('a long statement takes time in proportion to its length', () => {
  const sql = 'SELECT ' + Array.from({ length: 20_000 }, (_, n) => `"a"."column_${n}"`).join(', ') + ' FROM t'
  expect(squeeze(format(sql))).toBe(squeeze(sql))
})
