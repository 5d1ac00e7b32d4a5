import { expect, test } from 'vitest'
import { culprit, frames } from './backtrace'

const TEXT = `/usr/lib/python3/dist-packages/trytond/wsgi.py:212 SharedDataMiddlewareIndex.__call__
/usr/lib/python3/dist-packages/trytond/modules/sale/sale.py:1200 SaleLine.get_amount
/usr/lib/python3/dist-packages/trytond/model/modelsql.py:900 ModelSQL.read`

test('the innermost frame comes first, without the folder of packages', () => {
  expect(frames(TEXT)[0]).toEqual({ place: 'trytond/model/modelsql.py:900', name: 'ModelSQL.read', ofApplication: false })
})

test('the frame to look at is the innermost one of a module', () => {
  expect(culprit(TEXT)?.name).toBe('SaleLine.get_amount')
  expect(culprit('/srv/app/views.py:7 index\n/usr/lib/python3/dist-packages/django/db.py:1 run')?.place).toBe('/srv/app/views.py:7')
  expect(culprit('')).toBeUndefined()
})
