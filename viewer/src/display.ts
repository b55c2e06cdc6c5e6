// The controls of how images are shown.
import { byId, make } from './dom'
import { CT_WINDOWS, settings, type Settings } from './settings'

type Key = keyof Settings

/** Fills the form and keeps it and the settings the same. */
export function buildDisplay(): void {
  const form = byId<HTMLFormElement>('display')
  form.addEventListener('submit', (event) => event.preventDefault())
  form.replaceChildren(
    choice('shown', 'Images', { fusion: 'Fusion', pet: 'PET', ct: 'CT' }),
    choice('petColors', 'PET colors', { hot: 'Hot', inverse: 'Inverse gray' }),
    range('petShare', 'PET share'),
    suvWindow(),
    choice('ctWindow', 'CT window', Object.fromEntries(Object.keys(CT_WINDOWS).map((name) => [name, capital(name)]))),
    make('div', { className: 'row' }, make('span', {}, 'Mask'), check('mask', 'Shown'), check('outline', 'Outline')),
    range('maskOpacity', 'Mask fill'),
  )
}

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1)

function choice<K extends Key>(key: K, title: string, names: Record<string, string>): HTMLElement {
  const group = make('span', { className: 'segments', role: 'group', 'aria-label': title })
  for (const [value, name] of Object.entries(names)) {
    const button = make('button', { type: 'button' }, name)
    button.addEventListener('click', () => settings.set({ [key]: value } as Partial<Settings>))
    settings.watch((now) => button.setAttribute('aria-pressed', String(now[key] === value)))
    group.append(button)
  }
  return make('div', { className: 'row' }, make('span', {}, title), group)
}

function range(key: 'petShare' | 'maskOpacity', title: string): HTMLElement {
  const input = make('input', { type: 'range', min: '0', max: '1', step: '0.05' })
  input.addEventListener('input', () => settings.set({ [key]: Number(input.value) }))
  settings.watch((now) => (input.value = String(now[key])))
  return make('label', { className: 'row' }, make('span', {}, title), input)
}

function check(key: 'mask' | 'outline', title: string): HTMLElement {
  const input = make('input', { type: 'checkbox' })
  input.addEventListener('change', () => settings.set({ [key]: input.checked }))
  settings.watch((now) => (input.checked = now[key]))
  return make('label', { className: 'check' }, input, title)
}

function suvWindow(): HTMLElement {
  const limit = (key: 'suvLow' | 'suvHigh', title: string) => {
    const input = make('input', { type: 'number', min: '0', max: '100', step: '0.5', 'aria-label': title })
    input.addEventListener('change', () => {
      const value = Number(input.value)
      const { suvLow, suvHigh }: Settings = { ...settings.get(), [key]: value }
      if (input.value !== '' && suvLow >= 0 && suvHigh > suvLow) settings.set({ [key]: value })
      input.value = String(settings.get()[key])
    })
    settings.watch((now) => (input.value = String(now[key])))
    return input
  }
  const bar = make('span', { className: 'colorbar' })
  settings.watch((now) => (bar.dataset['colors'] = now.petColors))
  return make(
    'div',
    { className: 'row' },
    make('span', {}, 'SUV window'),
    make('span', { className: 'window' }, limit('suvLow', 'Lowest SUV'), bar, limit('suvHigh', 'Highest SUV')),
  )
}
