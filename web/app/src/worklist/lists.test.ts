import { expect, test } from 'vitest'
import { isGroup, linkOf, renamed, shownLists, withNews, type List, type ShownRow, type Wish } from './lists'

function list(key: string, count: number, category = 'global'): List {
  return { list: key, name: `${key.split('/')[1]} (${count})`, category, url: '', count, way: 'live' }
}

const all = [list('invoice/post', 3, 'books'), list('sale/draft', 2), list('sale/late', 0), list('stock/wait', 7)]
const none: Wish = { by: 'none', order: undefined, filter: '', zeros: false }
const keys = (rows: ShownRow[]) => rows.map((row) => isGroup(row) ? `[${row.group} ${row.lists} ${row.count}]` : row.list)
const shown = (wish: Partial<Wish>, kept: string[] = []) => keys(shownLists(withNews(all, new Map()), { ...none, ...wish }, new Set(kept)))

test('lists without documents are hidden unless they are asked for, or were shown before', () => {
  expect(shown({})).toEqual(['invoice/post', 'sale/draft', 'stock/wait'])
  expect(shown({ zeros: true })).toContain('sale/late')
  expect(shown({}, ['sale/late'])).toEqual(['invoice/post', 'sale/draft', 'sale/late', 'stock/wait'])
})

test('groups stand above their lists with what they add up to', () => {
  expect(shown({ by: 'category' })).toEqual(['[books 1 3]', 'invoice/post', '[global 2 9]', 'sale/draft', 'stock/wait'])
  expect(shown({ by: 'workflow', zeros: true })).toEqual(
    ['[invoice 1 3]', 'invoice/post', '[sale 2 2]', 'sale/draft', 'sale/late', '[stock 1 7]', 'stock/wait'])
  expect(shown({ by: 'category', order: { column: 'count', descending: true } }))
    .toEqual(['[global 2 9]', 'stock/wait', 'sale/draft', '[books 1 3]', 'invoice/post'])
})

test('the filter looks into names, keys and categories', () => {
  expect(shown({ filter: 'sale' })).toEqual(['sale/draft'])
  expect(shown({ filter: 'BOOKS post' })).toEqual(['invoice/post'])
  expect(shown({ filter: 'nothing', by: 'category' })).toEqual([])
})

test('what is told later changes number and title; a list that is refused now goes', () => {
  const rows = withNews(all, new Map([['sale/draft', { count: 12, at: 5 }], ['stock/wait', { count: null, at: 5 }]]))
  expect(rows.map((row) => [row.name, row.count, row.at])).toEqual([['post (3)', 3, 0], ['draft (12)', 12, 5], ['late (0)', 0, 0]])
  expect(renamed('2 of them', 2, 3)).toBe('2 of them')
  expect(renamed('(2) and (2)', 2, 3)).toBe('(2) and (3)')
})

test('only addresses of the web, and of the application, are links', () => {
  const erp = 'https://erp.example.com/shop/'
  expect(linkOf('https://other.example.com/a?b=c#d', '')).toBe('https://other.example.com/a?b=c#d')
  expect(linkOf('HTTP://other.example.com/', '')).toBe('http://other.example.com/')
  expect(linkOf('sale?state:list=draft', erp)).toBe('https://erp.example.com/shop/sale?state:list=draft')
  expect(linkOf('/web#a:b', erp)).toBe('https://erp.example.com/web#a:b')
  expect(linkOf('sale', '')).toBeUndefined()
  for (const bad of ['javascript:alert(1)', 'JavaScript:alert(1)', ' javascript:alert(1)', 'java\nscript:alert(1)', '\u0001javascript:alert(1)', 'data:text/html,a',
    'vbscript:a', 'https://', '', ':', 'blob:https://erp.example.com/1', 'tryton://host/db']) expect(linkOf(bad, erp), bad).toBeUndefined()
})
