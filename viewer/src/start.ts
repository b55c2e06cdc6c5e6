// The start: which cases there are, and how one is added.
import { api, type CaseEntry } from './api'
import { messageOf } from './alerts'
import { byId, make } from './dom'

const GB = 2 ** 30

export function showStart(cases: CaseEntry[], open: (id: string) => void): void {
  byId('reader').hidden = true
  byId('start').hidden = false
  document.title = 'LesionClick'
  const rows = cases.map((entry) => {
    const button = make('button', {}, make('b', {}, entry.name), make('small', {}, entry.session ? 'begun' : 'new'))
    button.addEventListener('click', () => open(entry.id))
    return make('li', {}, button)
  })
  const none = make('li', { className: 'empty' }, 'None yet. Add one, or start the server with cases: lesionclick serve CASE …')
  byId('case-list').replaceChildren(...(rows.length ? rows : [none]))
}

/** Sends what the form holds, unless it has more than `most()` bytes: then the server would hang up in the middle. */
export function listenToUpload(open: (id: string) => void, most: () => number): void {
  const form = byId<HTMLFormElement>('upload')
  const status = byId('upload-status')
  const button = byId<HTMLButtonElement>('upload-button')

  const upload = async (data: FormData) => {
    const files = [...data.values()].filter((value) => value instanceof File)
    const size = files.reduce((sum, file) => sum + file.size, 0)
    if (size > most()) {
      const [has, takes] = [size, most()].map((bytes) => `${(bytes / GB).toFixed(1)} GB`)
      throw new Error(`The files have ${has}, more than the ${takes} that this server takes.`)
    }
    return api.upload(data)
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault()
    const data = new FormData(form)
    if (!data.get('name')) data.delete('name')
    if (!(data.get('clicks') as File).size) data.delete('clicks')
    button.disabled = true
    status.textContent = 'Uploading …'
    upload(data)
      .then(
        (added) => {
          status.textContent = ''
          form.reset()
          open(added.id)
        },
        (error: unknown) => (status.textContent = messageOf(error)),
      )
      .finally(() => (button.disabled = false))
  })
}
