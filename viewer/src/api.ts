// The server's JSON API: its types and requests. Every failure is an ApiError with one sentence for the reader.

export interface Voxel {
  x: number
  y: number
  z: number
}

export type Label = 'tumor' | 'background'

export interface Click extends Voxel {
  id: number
  label: Label
}

export interface Model {
  name: string
  description: string
  warning: string | null // what every reader has to know of it
  version: string // of LesionClick
  max_upload_bytes: number
}

export interface CaseEntry {
  id: string
  name: string
  session: string | null
}

export interface Progress {
  stage: 'opening' | 'waiting' | 'computing' | 'done' | 'failed'
  text: string
  done: number
  total: number
  error: string | null
}

export interface MaskInfo {
  version: number // 0 while there is none
  final: boolean
  revision: number // of the clicks that it shows
}

export interface SessionState {
  id: string
  case: string
  revision: number
  clicks: Click[]
  can_undo: boolean
  can_redo: boolean
  progress: Progress
  mask: MaskInfo
}

export interface Lesion extends Voxel {
  number: number
  volume_ml: number
  suv_max: number
  suv_mean: number
  suv_peak: number
  tlg_ml: number
}

export interface LesionTable {
  mask: MaskInfo
  lesions: Lesion[]
  total: { volume_ml: number; tlg_ml: number; dmax_mm: number | null; count: number }
}

export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message)
  }
}

/** The address of something that the server has, wherever the page was served from. */
export function address(path: string): string {
  return new URL(`api/${path}`, document.baseURI).href
}

async function sentence(response: Response): Promise<string> {
  try {
    const { detail } = (await response.json()) as { detail?: unknown }
    if (typeof detail === 'string') return detail
  } catch {
    // no JSON: said below
  }
  if (response.status === 401) return 'The server asks for its key: open the address that it printed when it started.'
  return `The server answered ${response.status} ${response.statusText}.`
}

/** Waits for what the network brings; that it broke off is said in words, and that the page no longer wants it is not. */
async function received<T>(what: Promise<T>): Promise<T> {
  try {
    return await what
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error
    throw new ApiError('The server does not answer. Is `lesionclick serve` still running?', 0)
  }
}

async function send(method: string, path: string, options: RequestInit = {}): Promise<Response> {
  const response = await received(fetch(address(path), { method, ...options }))
  if (!response.ok) throw new ApiError(await sentence(response), response.status)
  return response
}

async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
  const json = { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }
  const response = await send(method, path, body === undefined ? {} : json)
  return received(response.json() as Promise<T>)
}

export const api = {
  model: () => ask<Model>('GET', 'model'),
  cases: () => ask<CaseEntry[]>('GET', 'cases'),
  state: (session: string) => ask<SessionState>('GET', `sessions/${session}`),
  openSession: (id: string) => ask<SessionState>('POST', `cases/${encodeURIComponent(id)}/session`),
  addClick: (session: string, voxel: Voxel, label: Label) =>
    ask<SessionState>('POST', `sessions/${session}/clicks`, { x: voxel.x, y: voxel.y, z: voxel.z, label }),
  deleteClick: (session: string, click: number) => ask<SessionState>('DELETE', `sessions/${session}/clicks/${click}`),
  undo: (session: string) => ask<SessionState>('POST', `sessions/${session}/undo`),
  redo: (session: string) => ask<SessionState>('POST', `sessions/${session}/redo`),
  clear: (session: string) => ask<SessionState>('POST', `sessions/${session}/clear`),
  lesions: (session: string) => ask<LesionTable>('GET', `sessions/${session}/lesions`),
  upload: async (form: FormData) => {
    const response = await send('POST', 'cases', { body: form })
    return received(response.json() as Promise<CaseEntry>)
  },
}

/** A file's bytes; `onPart` is told what share of it has come, where the server says how much there is. */
export async function download(
  path: string,
  signal: AbortSignal | null = null,
  onPart: (share: number) => void = () => {},
): Promise<ArrayBuffer> {
  const response = await send('GET', path, { signal })
  const total = Number(response.headers.get('Content-Length') ?? 0)
  if (!response.body || !total) return received(response.arrayBuffer())
  const bytes = new Uint8Array(total)
  let at = 0
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await received(reader.read())
    if (done) break
    if (at + value.length > total) throw new ApiError(`${path}: is longer than the server said.`, 0)
    bytes.set(value, at)
    onPart((at += value.length) / total)
  }
  if (at < total) throw new ApiError(`${path}: ended early, load the page again.`, 0)
  return bytes.buffer
}
