import { createServer, type RequestListener } from 'node:http'
import coWechat from 'co-wechat'
import express from 'express'
import Koa from 'koa'
import wechat from 'wechat'
import { serveParent } from './answer-parent.ts'
import { ACCOUNT, CALLBACK_PATH } from './pushes.ts'

/*
 * A process of its own that runs one of the servers we are measured against. Each gives the shortest
 * answer it can give, and keeps nothing.
 */

export type PeerName = 'http' | 'express' | 'wechat' | 'co-wechat'

const CONFIG = { token: ACCOUNT.token, appid: ACCOUNT.appId, encodingAESKey: ACCOUNT.aesKey }

/** Reads the body as text and answers: what every server must do at least. */
function nodeHello(): RequestListener {
  return (request, response) => {
    request.setEncoding('utf8')
    let body = ''
    request.on('data', (chunk: string) => (body += chunk))
    request.on('end', () => response.end(body.length > 0 ? 'success' : 'empty'))
  }
}

function expressHello(): RequestListener {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.post(CALLBACK_PATH, express.text({ type: () => true }), (_req, res) => {
    res.type('text/plain').end('success')
  })
  return app
}

/** `reply('')` is the library's own short cut: an empty answer, which is not encrypted. */
function nodeWebot(): RequestListener {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.use(
    CALLBACK_PATH,
    wechat(CONFIG, (_req, res) => res.reply('')),
  )
  return app
}

function koaWebot(): RequestListener {
  const app = new Koa()
  app.use(coWechat(CONFIG).middleware(async () => ''))
  return app.callback()
}

const PEERS: Readonly<Record<PeerName, () => RequestListener>> = {
  http: nodeHello,
  express: expressHello,
  wechat: nodeWebot,
  'co-wechat': koaWebot,
}

const listener = PEERS[process.argv[2] as PeerName]()
serveParent(createServer(listener))
