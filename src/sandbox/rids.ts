/** One refused call, as `openapi/rid/get` explains it. */
interface RidFacts {
  readonly appId: string | null
  readonly atMs: number
  readonly costMs: number
  readonly requestUrl: string
  readonly requestBody: string
  readonly responseBody: string
  readonly clientIp: string
}

/** The calls that were refused lately, by the rid in their answer. */
export interface RidBook {
  add(rid: string, facts: RidFacts): void
  find(rid: string): RidFacts | undefined
}

const KEPT_RIDS = 2000
const SECRET_PARAMETER = /((?:token|secret)=)[^&]+/g
const SECRET_FIELD = /("\w*(?:secret|ticket|_token|permanent_code)"\s*:\s*")[^"]*/g

/** Secrets are masked, as the platform does. */
export function createRidBook(): RidBook {
  const calls = new Map<string, RidFacts>()
  return {
    add(rid, facts) {
      calls.set(rid, {
        ...facts,
        requestUrl: facts.requestUrl.replace(SECRET_PARAMETER, '$1******'),
        requestBody: facts.requestBody.replace(SECRET_FIELD, '$1******'),
      })
      for (const old of calls.keys()) {
        if (calls.size <= KEPT_RIDS) break
        calls.delete(old)
      }
    },
    find: (rid) => calls.get(rid),
  }
}
