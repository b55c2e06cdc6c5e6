// The lists on the right: lesions with their totals, and clicks.
import type { Click, Lesion, LesionTable, Voxel } from './api'
import { byId, make } from './dom'

export interface PanelActions {
  jump(voxel: Voxel): void
  selectClick(click: Click): void
  deleteClick(click: Click): void
}

const figure = (value: number | null | undefined, digits = 1) =>
  value === null || value === undefined || !Number.isFinite(value) ? '–' : value.toFixed(digits)

/** Three digits at least, and no more behind the point than a reader needs. */
const volume = (ml: number) => figure(ml, ml < 10 ? 2 : ml < 1000 ? 1 : 0)

export function showLesions(table: LesionTable | null, outdated: boolean, jump: (lesion: Lesion) => void): void {
  const rows = byId('lesion-rows')
  const totals = byId('totals')
  rows.parentElement?.classList.toggle('outdated', outdated)
  const total = (name: string, value: string, unit: string, title = '') =>
    make('div', { title }, make('dt', {}, name), make('dd', {}, value, make('small', {}, unit)))
  totals.replaceChildren(
    total('Tumor volume', table ? volume(table.total.volume_ml) : '–', ' ml', 'Of all lesions'),
    total('TLG', table ? figure(table.total.tlg_ml, table.total.tlg_ml < 1000 ? 1 : 0) : '–', ' ml', 'Total lesion glycolysis: volume times mean SUV'),
    total('Lesions', table ? String(table.total.count) : '–', ''),
    total('Spread', table ? figure(table.total.dmax_mm, 0) : '–', ' mm', 'Largest distance between two lesions'),
  )
  if (!table?.lesions.length) {
    const text = table ? 'The mask holds no lesion.' : 'They are measured as soon as there is a mask.'
    rows.replaceChildren(make('tr', {}, make('td', { colSpan: 6, className: 'empty' }, text)))
    return
  }
  const focused = document.activeElement?.getAttribute('data-lesion')
  rows.replaceChildren(
    ...table.lesions.map((lesion) => {
      const cells = [lesion.suv_max, lesion.suv_mean, lesion.suv_peak].map((value) => make('td', {}, figure(value)))
      const row = make(
        'tr',
        { tabIndex: 0, 'data-lesion': String(lesion.number), 'aria-label': `Lesion ${lesion.number}: go there` },
        make('td', {}, String(lesion.number)),
        make('td', {}, volume(lesion.volume_ml)),
        ...cells,
        make('td', {}, figure(lesion.tlg_ml, lesion.tlg_ml < 1000 ? 1 : 0)),
      )
      row.addEventListener('click', () => jump(lesion))
      row.addEventListener('keydown', (event) => {
        if (event.key !== 'Enter' && event.key !== ' ') return
        event.preventDefault()
        jump(lesion)
      })
      return row
    }),
  )
  if (focused) rows.querySelector<HTMLElement>(`[data-lesion="${focused}"]`)?.focus({ preventScroll: true })
}

/** Marks a lesion's row as the one that the crosshair is in. */
export function markLesion(number: number | null): void {
  for (const row of byId('lesion-rows').querySelectorAll<HTMLElement>('tr')) {
    const current = number !== null && row.dataset['lesion'] === String(number)
    row.toggleAttribute('aria-current', current)
    if (current) row.scrollIntoView({ block: 'nearest' })
  }
}

export function showClicks(clicks: readonly Click[], selected: number | null, actions: PanelActions): void {
  const list = byId('click-rows')
  if (!clicks.length) {
    list.replaceChildren(make('li', { className: 'empty' }, 'None yet. Click what was missed; right click what is no tumor.'))
    return
  }
  const focused = document.activeElement?.getAttribute('data-click')
  list.replaceChildren(
    ...clicks.map((click, index) => {
      const go = make(
        'button',
        { className: 'go', 'data-click': String(click.id), 'aria-label': `Click ${index + 1}, ${click.label}: go there` },
        make('span', { className: `mark ${click.label}`, 'aria-hidden': 'true' }, click.label === 'tumor' ? '+' : '−'),
        make('span', {}, click.label),
        make('span', { className: 'voxel' }, `${click.x}, ${click.y}, ${click.z}`),
      )
      go.addEventListener('click', () => actions.selectClick(click))
      const remove = make('button', { className: 'delete', 'aria-label': `Delete click ${index + 1}`, title: 'Delete' }, '×')
      remove.addEventListener('click', () => actions.deleteClick(click))
      return make('li', click.id === selected ? { 'aria-current': 'true' } : {}, go, remove)
    }),
  )
  if (focused) list.querySelector<HTMLElement>(`[data-click="${focused}"]`)?.focus({ preventScroll: true })
}
