// The documents of a list that the user may see, by their keys, a page at a time. They are read in the database when they are asked for.

import { Note } from '../parts/layout'
import { Failure, Waiting } from '../parts/states'
import { useResource } from '../resource'
import { useParameter } from '../router'
import { oneLine } from '../visible'
import { listPath, type Side } from './own'
import type { ListRow } from './lists'

interface Answer {
  documents: string[]
  next: string | null
}

const PAGE = 100

export function Documents({ side, list }: { side: Side; list: ListRow }) {
  const [after, setAfter] = useParameter('after')
  const [, setList] = useParameter('list')
  const { value, error, reload } = useResource<Answer>(side.path(`${listPath(list.list)}/documents`), { limit: PAGE, after }, 0, side.bearer)
  return (
    <section class="card" aria-label="Documents">
      <div class="tools">
        <h2>{oneLine(list.name, 300)}</h2>
        <div class="paging">
          {after !== '' && <button type="button" onClick={() => setAfter('', false)}>First page</button>}
          {value?.next && <button type="button" onClick={() => setAfter(value.next ?? '', false)}>Next page</button>}
          <button type="button" onClick={reload}>Read again</button>
          <button type="button" class="quiet" onClick={() => { setAfter(''); setList('', false) }}>Close</button>
        </div>
      </div>
      {error ? <Failure error={error} again={reload} /> : value === undefined ? <Waiting what="the documents" /> : <Keys documents={value.documents} after={after} />}
    </section>
  )
}

function Keys({ documents, after }: { documents: string[]; after: string }) {
  if (documents.length === 0) return <Note>{after === '' ? 'No document is in it now.' : 'No document comes after the last page.'}</Note>
  return (
    <>
      <ul class="keys" tabIndex={0} aria-label="Keys of the documents">{documents.map((key) => <li key={key} title={oneLine(key, 300)}>{oneLine(key, 300)}</li>)}</ul>
      <Note>By their keys, {after === '' ? 'from the first one' : `those after ${oneLine(after, 100)}`}. The number above may have changed since they were read.</Note>
    </>
  )
}
