import { render } from 'preact'
import './styles/main.css'
import './theme'
import { App } from './app'
import { pageAt } from './pages'
import { place } from './router'

void pageAt(place.value.path)?.load().catch(() => undefined) // the page asks again and tells
render(<App />, document.getElementById('app')!)
