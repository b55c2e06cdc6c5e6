// The lists on the right: lesions with their totals, and clicks.
import type { Click, Lesion, LesionTable } from './api'
import { byId, capital, make } from './dom'

const MOST_CLICKS = 200 // that are listed; scribbles of other viewers have thousands

const figure = (value: number | null, digits: number) =>
  value === null || !Number.isFinite(value) ? '–' : value.toFixed(digits)

/** `note` says in a few words why the figures are not those of the clicks that count, where they are not. */
export function showLesions(table: LesionTable | null, note: string, jump: (lesion: Lesion) => void): void {
  const rows = byId('lesion-rows')
  byId('lesions').classList.toggle('outdated', note !== '')
  byId('lesions-note').textContent = note
  const total = (name: string, value: string, unit: string, title: string) =>
    make('div', { title }, make('dt', {}, name), make('dd', {}, value, unit && make('small', {}, ` ${unit}`)))
  const { volume_ml = null, tlg_ml = null, dmax_mm = null, count = null } = table?.total ?? {}
  byId('totals').replaceChildren(
    total('Tumor volume', figure(volume_ml, 1), 'ml', 'Of all lesions'),
    total('TLG', figure(tlg_ml, 1), 'ml', 'Total lesion glycolysis: volume times mean SUV'),
    total('Lesions', figure(count, 0), '', 'Parts of the mask that do not touch'),
    total('Spread', figure(dmax_mm, 0), 'mm', 'Largest distance between two lesions'),
  )
  if (!table?.lesions.length) {
    const text = table ? 'The mask holds no lesion.' : 'They are measured as soon as there is a mask.'
    rows.replaceChildren(make('tr', {}, make('td', { colSpan: 6, className: 'empty' }, text)))
    return
  }
  keepingFocus(rows, () =>
    rows.replaceChildren(
      ...table.lesions.map((lesion) => {
        const number = String(lesion.number)
        const go = make('button', { 'data-key': `lesion-${number}`, 'aria-label': `Go to lesion ${number}` }, number)
        const row = make(
          'tr',
          { 'data-lesion': number },
          make('td', {}, go),
          make('td', {}, figure(lesion.volume_ml, 2)),
          ...[lesion.suv_max, lesion.suv_mean, lesion.suv_peak, lesion.tlg_ml].map((value) => make('td', {}, figure(value, 1))),
        )
        row.addEventListener('click', () => jump(lesion))
        return row
      }),
    ),
  )
}

/** Marks a lesion's row as the one that the crosshair is in. */
export function markLesion(number: number | null): void {
  for (const row of byId('lesion-rows').querySelectorAll<HTMLElement>('tr')) {
    const isCurrent = number !== null && row.dataset['lesion'] === String(number)
    if (isCurrent === row.hasAttribute('aria-current')) continue
    if (isCurrent) row.setAttribute('aria-current', 'true')
    else row.removeAttribute('aria-current')
    if (isCurrent) row.scrollIntoView({ block: 'nearest' })
  }
}

export interface ClickActions {
  selectClick(click: Click): void
  deleteClick(click: Click): void
}

export function showClicks(clicks: readonly Click[], selected: number | null, actions: ClickActions): void {
  const list = byId('click-rows')
  byId('clicks-count').textContent = clicks.length ? String(clicks.length) : ''
  if (!clicks.length) {
    list.replaceChildren(make('li', { className: 'empty' }, 'None yet. Click what was missed; right click what is no tumor.'))
    return
  }
  const earlier = Math.max(clicks.length - MOST_CLICKS, 0)
  const rows = clicks.slice(earlier).map((click, index) => {
    const number = earlier + index + 1
    const go = make(
      'button',
      { className: 'go', 'data-key': `click-${click.id}`, 'aria-label': `Go to click ${number}, ${click.label}` },
      make('span', { className: 'number' }, String(number)),
      make('span', { className: `mark ${click.label}`, 'aria-hidden': 'true' }, click.label === 'tumor' ? '+' : '−'),
      make('span', {}, capital(click.label)),
      make('span', { className: 'voxel' }, `${click.x}, ${click.y}, ${click.z}`),
    )
    go.addEventListener('click', () => actions.selectClick(click))
    const remove = make(
      'button',
      { className: 'delete', 'data-key': `delete-${click.id}`, 'aria-label': `Delete click ${number}`, title: 'Delete' },
      '×',
    )
    remove.addEventListener('click', () => actions.deleteClick(click))
    return make('li', click.id === selected ? { 'aria-current': 'true' } : {}, go, remove)
  })
  const note = make('li', { className: 'empty' }, `${earlier} earlier ones are not listed.`)
  keepingFocus(list, () => list.replaceChildren(...(earlier ? [note, ...rows] : rows)))
  list.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest' })
}

/** Rebuilds a list and gives the focus back to the same button, or, where it is gone, to the one that took its place. */
function keepingFocus(list: HTMLElement, rebuild: () => void): void {
  const focused = list.querySelector<HTMLElement>(':focus')
  const key = focused?.dataset['key'] ?? ''
  const [kind] = key.split('-')
  const alike = () => [...list.querySelectorAll<HTMLElement>(`[data-key^="${kind}-"]`)]
  const place = focused ? alike().indexOf(focused) : -1
  rebuild()
  if (!focused) return
  const now = alike()
  const next = now.find((button) => button.dataset['key'] === key) ?? now[Math.min(place, now.length - 1)]
  next?.focus({ preventScroll: true })
}
