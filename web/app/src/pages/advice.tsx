// What is worth changing, over everything that was recorded.

import { Advice } from '../parts/advice'
import { Choice } from '../parts/choice'
import { Page } from '../parts/layout'
import { useParameter } from '../router'

const SPANS: [string, string][] = [['1h', 'last hour'], ['24h', 'last day'], ['7d', 'last week'], ['all', 'all that is kept']]

export default function AdvicePage() {
  const [since, setSince] = useParameter('since', '24h')
  return (
    <Page title="Advice" actions={<Choice label="Time" value={since} onChange={setSince} options={SPANS} />}>
      <Advice filter={{ since: since === 'all' ? '' : since }} />
    </Page>
  )
}
