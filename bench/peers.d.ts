// What the bench uses of packages that bring no types.

declare module 'wechat' {
  import type { RequestHandler, Response } from 'express'
  interface Config {
    readonly token: string
    readonly appid: string
    readonly encodingAESKey: string
  }
  type WechatResponse = Response & { reply(content: string): void }
  function wechat(
    config: Config,
    handle: (req: unknown, res: WechatResponse) => void,
  ): RequestHandler
  export = wechat
}

declare module 'co-wechat' {
  import type { Middleware } from 'koa'
  interface Config {
    readonly token: string
    readonly appid: string
    readonly encodingAESKey: string
  }
  function wechat(config: Config): {
    middleware(handle: (message: unknown) => Promise<string>): Middleware
  }
  export = wechat
}

declare module 'koa' {
  import type { RequestListener } from 'node:http'
  class Koa {
    use(middleware: Koa.Middleware): this
    callback(): RequestListener
  }
  namespace Koa {
    type Middleware = (context: unknown, next: () => Promise<void>) => Promise<void>
  }
  export = Koa
}
