// The views of the work lists with something in them: accessible, and no wider than the window.
import { run } from './harness.mjs'
import { lookAtAll } from './look_at.mjs'

await run((browser) => lookAtAll(browser, () => [
  ['worklists-nobody', '/worklists'], ['worklists', '/worklists?user=7'], ['worklists-documents', '/worklists?user=7&list=sale/draft&by=workflow&zeros=1'],
  ['worklists-none', '/worklists?user=7&filter=zed'], ['worklists-cost', '/worklists?user=7&view=cost&list=invoice/overdue'],
  ['worklists-service', '/worklists?user=7&view=service'],
]))
