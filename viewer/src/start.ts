// The start: which cases there are, and how one is added.
import { api, type CaseEntry } from './api'
import { byId, make } from './dom'

export function showStart(cases: CaseEntry[], open: (id: string) => void): void {
  byId('reader').hidden = true
  byId('start').hidden = false
  document.title = 'LesionClick'
  const rows = cases.map((entry) => {
    const button = make('button', {}, make('b', {}, entry.name), make('small', {}, entry.session ? 'begun' : 'new'))
    button.addEventListener('click', () => open(entry.id))
    return make('li', {}, button)
  })
  const none = make('li', { className: 'empty' }, 'None yet. Add one, or start the server with cases: lesionclick serve CASE ...')
  byId('case-list').replaceChildren(...(rows.length ? rows : [none]))
}

export function listenToUpload(open: (id: string) => void): void {
  const form = byId<HTMLFormElement>('upload')
  const status = byId('upload-status')
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    const data = new FormData(form)
    if (!data.get('name')) data.delete('name')
    if (!(data.get('clicks') as File).size) data.delete('clicks')
    const button = form.querySelector('button')
    const end = (text: string) => {
      status.textContent = text
      if (button) button.disabled = false
    }
    if (button) button.disabled = true
    status.textContent = 'Uploading …'
    api.upload(data).then(
      (added) => {
        end('')
        form.reset()
        open(added.id)
      },
      (error: unknown) => end(error instanceof Error ? error.message : String(error)),
    )
  })
}
