/**
 * What the commands say, in English and Simplified Chinese. `{name}` is a hole for a value; both
 * languages have the same holes. Help texts of commands and options stand beside them instead.
 */

export type Language = 'en' | 'zh'

/** One text in both languages. */
export interface Spoken {
  readonly en: string
  readonly zh: string
}

export const WORDS = {
  usage: { en: 'Usage', zh: '用法' },
  commands: { en: 'Commands', zh: '命令' },
  options: { en: 'Options', zh: '选项' },
  required: { en: 'required', zh: '必填' },
  repeatable: { en: 'may be repeated', zh: '可重复' },
  more_help: {
    en: 'wcg <command> --help explains one command.',
    zh: '用 wcg <命令> --help 查看某个命令的说明。',
  },
  settings_help: {
    en: 'Settings come from the environment; see docs/configuration.md.',
    zh: '设置来自环境变量，见 docs/configuration.md。',
  },
  unknown_command: { en: 'there is no command {command}', zh: '没有 {command} 这个命令' },
  unknown_option: { en: 'is not an option of this command', zh: '不是此命令的选项' },
  did_you_mean: { en: 'did you mean {guess}?', zh: '是否想输入 {guess}？' },
  value_missing: { en: 'needs a value behind it', zh: '后面需要一个值' },
  value_unexpected: { en: 'takes no value', zh: '不接受值' },
  opposite: {
    en: 'is the opposite of {other}; give one of them',
    zh: '与 {other} 相反，只能给出一个',
  },
  nothing_to_set: {
    en: 'give at least one option; wcg account set --help lists them',
    zh: '至少提供一个选项；用 wcg account set --help 查看',
  },
  given_twice: { en: 'may be given only once', zh: '只能出现一次' },
  is_required: { en: 'is required', zh: '必须填写' },
  too_many_words: { en: 'is one word too many', zh: '是多余的参数' },
  one_of: { en: 'must be one of: {choices}', zh: '必须是以下之一：{choices}' },
  whole_number: {
    en: 'must be a whole number from {least} to {most}',
    zh: '必须是 {least} 到 {most} 之间的整数',
  },
  not_json: {
    en: 'must be a JSON object, or @file with one in it',
    zh: '必须是 JSON 对象，或 @文件（内容为 JSON 对象）',
  },
  secret_typed: {
    en: 'must be @file or @- (standard input): what is typed here stays in the history of the shell',
    zh: '必须写成 @文件 或 @-（标准输入）：直接输入会留在 shell 历史记录中',
  },
  file_unreadable: { en: 'the file {path} cannot be read', zh: '无法读取文件 {path}' },
  bad_input: { en: 'The input has faults:', zh: '输入有以下问题：' },
  bad_settings: { en: 'The settings have faults:', zh: '设置有以下问题：' },
  failed: { en: 'Failed', zh: '失败' },
  unexpected: {
    en: 'an unexpected fault: {message} (LOG_LEVEL=debug shows where)',
    zh: '意外错误：{message}（设置 LOG_LEVEL=debug 可查看位置）',
  },
  database_unavailable: {
    en: 'the database does not answer: {message}; check DATABASE_URL and that the server runs',
    zh: '数据库没有响应：{message}；请检查 DATABASE_URL 以及数据库是否在运行',
  },
  database_missing: {
    en: 'the server has no database of the name in DATABASE_URL; correct the name, or make it (createdb) and run wcg migrate',
    zh: '数据库服务器上没有 DATABASE_URL 指定的数据库；请改正名称，或先创建 (createdb) 再运行 wcg migrate',
  },
  database_refused: {
    en: 'the database server does not let us in; check user and password in DATABASE_URL, and its pg_hba.conf',
    zh: '数据库服务器拒绝登录；请检查 DATABASE_URL 中的用户名和密码，以及服务器的 pg_hba.conf',
  },
  port_in_use: {
    en: 'port {port} on {host} is taken by another program; stop it, or set {port_setting} to another one',
    zh: '{host} 的端口 {port} 已被其他程序占用；请停止该程序，或将 {port_setting} 设为其他端口',
  },
  port_forbidden: {
    en: 'this user may not listen on port {port}; take one above 1023',
    zh: '当前用户无权监听端口 {port}；请使用 1023 以上的端口',
  },
  address_unknown: {
    en: 'this machine has no address {host}; set {host_setting} to one of its own, or to 0.0.0.0',
    zh: '本机没有地址 {host}；请将 {host_setting} 设为本机地址或 0.0.0.0',
  },
  migrations_pending: {
    en: '{count} migrations are pending; run wcg migrate first',
    zh: '有 {count} 个数据库迁移尚未执行；请先运行 wcg migrate',
  },
  secrets_unreadable: {
    en: 'the secrets of {names} do not open under WCG_MASTER_KEY; add the key that sealed them behind the current one, set them anew (wcg account rotate), or take the account out of service (wcg account set NAME --disable)',
    zh: '无法用 WCG_MASTER_KEY 解开 {names} 的密钥；请把当时使用的主密钥加在当前主密钥之后，或重新设置密钥 (wcg account rotate)，或停用该帐号 (wcg account set NAME --disable)',
  },
  secrets_unreadable_disabled: {
    en: 'the secrets of {names} do not open under WCG_MASTER_KEY; out of service, they stop nobody: see docs/configuration.md, “A lost master key”',
    zh: '无法用 WCG_MASTER_KEY 解开 {names} 的密钥；帐号已停用，不影响其他帐号，见 docs/configuration.md 的 “A lost master key”',
  },
  foreign_master_key: {
    en: 'WCG_MASTER_KEY opens nothing that is sealed in this database, so it is another one than the gateway’s: set the right one. If the right one is lost: wcg account rotate NAME --master-key-lost',
    zh: 'WCG_MASTER_KEY 无法解开此数据库中的任何密文，与网关使用的主密钥不同：请设置正确的主密钥。若正确的主密钥已丢失：wcg account rotate NAME --master-key-lost',
  },
  seals_lost: {
    en: '{count} sealed texts do not open: their master key {key} is not in WCG_MASTER_KEY; the first rests at {place}. Add that key behind the current one, or see docs/configuration.md, “A lost master key”',
    zh: '{count} 处密文无法解开：WCG_MASTER_KEY 中没有其主密钥 {key}；第一处位于 {place}。请把该主密钥加在当前主密钥之后，或见 docs/configuration.md 的 “A lost master key”',
  },
  pair_replaced: {
    en: 'The Token and EncodingAESKey of {name} are new. Those before did not open and are not accepted any more: set the new ones on the platform’s page now.',
    zh: '{name} 的令牌和 EncodingAESKey 已更换。旧的无法解开，不再接受：请立即在平台页面填写新的。',
  },
  listening: { en: 'Listening on {url}', zh: '正在监听 {url}' },
  migrated: { en: 'Done: {name}', zh: '已执行：{name}' },
  rolled_back: { en: 'Undone: {name}', zh: '已撤销：{name}' },
  pending: { en: 'Pending: {name}', zh: '待执行：{name}' },
  up_to_date: { en: 'The database is up to date.', zh: '数据库已是最新。' },
  nothing_to_roll_back: { en: 'There was nothing to undo.', zh: '没有可撤销的迁移。' },
  account_added: { en: 'Account {name} is added.', zh: '已添加帐号 {name}。' },
  odd_id: {
    en: '{option}: {id} does not look like one (18 characters: wx, or ww of a corp, and 16 more). If it is mistyped: wcg account set {name} --disable, and add the account again under another name.',
    zh: '{option}：{id} 的格式不像（应为 18 位：wx，或企业的 ww，后接 16 位）。如果输错：wcg account set {name} --disable，再用其他名称重新添加。',
  },
  enter_callback: {
    en: 'Enter this address on the platform’s page ({what}): {url}',
    zh: '请在平台页面填写此 URL（{what}）：{url}',
  },
  callback_hint: {
    en: '{url} (set PUBLIC_BASE_URL to see the whole address; the platform reaches only ports 80 and 443)',
    zh: '{url}（设置 PUBLIC_BASE_URL 可显示完整地址；平台只能访问 80 和 443 端口）',
  },
  plain_mode: {
    en: 'Account {name} runs in plain mode (明文模式): the content of its pushes is not signed, so anyone who has seen one address can forge events. For development only; set the platform’s page to safe mode, then run wcg account set {name} --mode safe.',
    zh: '帐号 {name} 使用明文模式：推送内容未签名，任何见过一次请求地址的人都能伪造事件。仅限开发使用；请在平台页面改为安全模式，再运行 wcg account set {name} --mode safe。',
  },
  freshness_off: {
    en: 'Account {name} takes pushes of any age (--freshness 0): an old push can be played again.',
    zh: '帐号 {name} 接受任意时间的推送（--freshness 0）：旧推送可能被重放。',
  },
  receive_id_off: {
    en: 'Account {name} takes pushes that are sealed for nobody in particular (--empty-receive-id): only its Token and key tell them from another suite’s.',
    zh: '帐号 {name} 接受不带 ReceiveId 的推送（--empty-receive-id）：只能靠令牌和密钥与其他应用区分。',
  },
  no_ticket: {
    en: 'Account {name} has no ticket yet; without one it gets no token. The platform sends one every ten minutes to the callback URL: look there for refusals.',
    zh: '帐号 {name} 还没有收到 ticket，无法获取 token。平台每十分钟向回调 URL 推送一次，请检查推送是否被拒绝。',
  },
  old_ticket: {
    en: 'The newest ticket of account {name} is {minutes} minutes old; one comes every ten minutes. Look at the callback URL for refusals.',
    zh: '帐号 {name} 最新的 ticket 已有 {minutes} 分钟，平台应每十分钟推送一次；请检查回调 URL 是否拒绝了推送。',
  },
  start_tickets_hint: {
    en: 'wcg account start-tickets {name} has the platform push them again.',
    zh: '执行 wcg account start-tickets {name} 可让平台重新推送。',
  },
  no_accounts: {
    en: 'There is no account yet; wcg account add adds one.',
    zh: '还没有帐号；用 wcg account add 添加。',
  },
  account_changed: { en: 'Account {name} is changed.', zh: '帐号 {name} 已修改。' },
  nothing_changed: { en: 'Nothing had to change.', zh: '无需更改。' },
  rollback_needs_yes: {
    en: 'is required: undoing migrations drops tables with the data in them; back up first',
    zh: '必须填写：撤销迁移会删除表及其中的数据；请先备份',
  },
  key_rotated: {
    en: 'The new callback key of {name} is in place; the one before is still accepted. Now change it on the platform’s page; when the metric wcg_previous_key_uses_total no longer grows, run wcg account rotate {name} --drop-previous.',
    zh: '帐号 {name} 的新回调密钥已生效，旧密钥仍可使用。请在平台页面修改；当指标 wcg_previous_key_uses_total 不再增长后，运行 wcg account rotate {name} --drop-previous。',
  },
  secret_replaced: {
    en: 'The new secret of {name} is in place.',
    zh: '帐号 {name} 的新密钥 (Secret) 已生效。',
  },
  provider_secret_replaced: {
    en: 'The new ProviderSecret of {name} is in place.',
    zh: '帐号 {name} 的新 ProviderSecret 已生效。',
  },
  previous_dropped: {
    en: 'The previous callback key of {name} is forgotten.',
    zh: '帐号 {name} 的旧回调密钥已删除。',
  },
  no_previous: {
    en: 'Account {name} had no previous callback key.',
    zh: '帐号 {name} 没有旧回调密钥。',
  },
  resealed: {
    en: 'Sealed again under the current master key: {secrets} secrets, {tokens} access tokens, {applications} applications, {endpoints} endpoints, {messages} messages, {jobs} jobs, {pushes} parked pushes.',
    zh: '已用当前主密钥重新加密：{secrets} 个密钥、{tokens} 个 access_token、{applications} 个应用、{endpoints} 个端点、{messages} 条消息、{jobs} 个任务、{pushes} 条暂存的推送。',
  },
  name: { en: 'Name', zh: '名称' },
  purpose: { en: 'Purpose', zh: '用途' },
  kind: { en: 'Kind', zh: '类型' },
  mode: { en: 'Mode', zh: '模式' },
  app_id: { en: 'App id', zh: 'AppID' },
  original_id: { en: 'Original id', zh: '原始 ID' },
  corp_id: { en: 'Corp id', zh: '企业 ID' },
  suite_id: { en: 'Suite id', zh: '第三方应用 SuiteID' },
  agent_id: { en: 'Agent id', zh: '应用 AgentId' },
  provider_corp_id: { en: 'Provider’s corp id', zh: '服务商企业 ID' },
  parent: { en: 'Authorises', zh: '授权给' },
  serves: { en: 'Is a', zh: '帐号性质' },
  data_format: { en: 'Data format', zh: '数据格式' },
  ticket: { en: 'Ticket', zh: 'ticket 推送' },
  ticket_from: { en: 'the newest is of {time}', zh: '最新一张的时间：{time}' },
  state: { en: 'State', zh: '状态' },
  in_service: { en: 'in service', zh: '启用' },
  disabled: { en: 'disabled', zh: '停用' },
  send_breaker_open: {
    en: 'sends of {name} rest until {time}: no call has got through since {since} ({reason}); one call tries then; see docs/operations.md',
    zh: '{name} 的发送暂停至 {time}：自 {since} 起调用均未成功（{reason}），届时先试发一条；见 docs/operations.md',
  },
  host_breaker_open: {
    en: 'sends of {name} and of all accounts at its API host rest until {time}: no call has got through since {since} ({reason}); see docs/operations.md',
    zh: '{name} 及同一接口域名下所有帐号的发送暂停至 {time}：自 {since} 起调用均未成功（{reason}）；见 docs/operations.md',
  },
  quiet_now: {
    en: 'the marketing of {name} rests until {time}: quiet hours',
    zh: '{name} 处于免打扰时段，营销消息 {time} 后再发',
  },
  channel_rests: {
    en: '{channels} of {name} rests until {time}: {reason}; messages wait; see docs/operations.md',
    zh: '{name} 的 {channels} 暂停发送至 {time}：{reason}；消息等待中；见 docs/operations.md',
  },
  sends_slowed: {
    en: 'the platform said that {name} sends too fast; {rate} a second now, back to normal within five minutes',
    zh: '平台提示 {name} 发送过快；目前每秒 {rate} 条，五分钟内自动恢复',
  },
  check_pushes_aside: { en: 'Pushes kept aside', zh: '另存的推送' },
  no_pushes_aside: { en: 'none', zh: '没有' },
  pushes_aside: {
    en: '{count} could not be recorded; the newest: {reason}; see docs/operations.md',
    zh: '{count} 条无法入库；最近一条：{reason}；见 docs/operations.md',
  },
  check_parked: { en: 'Pushes of tenants of {name}', zh: '{name} 名下授权方的推送' },
  parked_wait: {
    en: '{waiting} wait for an account, the oldest since {since}: its code is not exchanged; see docs/operations.md',
    zh: '{waiting} 条等待授权方帐号建立，最早一条自 {since}：授权码尚未换取；见 docs/operations.md',
  },
  parked_dropped: {
    en: '{dropped} were dropped within 30 days: their merchant or corp never got an account here; see docs/operations.md',
    zh: '30 天内丢弃 {dropped} 条：其授权方始终没有建立帐号；见 docs/operations.md',
  },
  first_sync_queued: {
    en: 'Who follows {name} already is read from the platform as soon as a gateway runs; wcg account check {name} shows how far it is.',
    zh: '网关运行后会立即从平台读取 {name} 已有的关注者；用 wcg account check {name} 查看进度。',
  },
  first_sync_not_asked: {
    en: 'Who follows {name} already is unknown, and gets nothing, until wcg followers sync {name} or the next night.',
    zh: '在运行 wcg followers sync {name} 或夜间核对之前，{name} 已有的关注者视为未知，不会收到消息。',
  },
  followers: { en: 'Followers', zh: '关注者核对' },
  followers_never: { en: 'never compared', zh: '从未核对' },
  followers_done: { en: 'compared at {time}', zh: '{time} 已核对' },
  followers_running: {
    en: 'being compared, {listed} of {total} read',
    zh: '核对中，已读取 {listed} / {total}',
  },
  followers_paused: {
    en: 'rests until {time}: the day’s calls are used up',
    zh: '暂停到 {time}：当日额度已用完',
  },
  followers_failed: { en: 'the platform refused: {reason}', zh: '平台拒绝：{reason}' },
  no_followers: {
    en: 'must be an Official Account: only those have followers',
    zh: '必须是公众号：只有公众号有关注者',
  },
  live: { en: 'live', zh: '有效' },
  revoked: { en: 'revoked', zh: '已吊销' },
  secrets: { en: 'Secrets', zh: '密钥' },
  configured: { en: 'configured', zh: '已配置' },
  not_configured: { en: 'none', zh: '无' },
  settings: { en: 'Settings', zh: '设置' },
  callback_address: { en: 'Callback URL', zh: '回调 URL' },
  authorisation_address: { en: 'Authorisation URL', zh: '授权事件接收 URL' },
  message_address: { en: 'Message URL', zh: '消息与事件接收 URL' },
  instruct_address: { en: 'Instruction URL', zh: '指令回调 URL' },
  data_address: { en: 'Data URL', zh: '数据回调 URL' },
  previous_key: { en: 'Previous key', zh: '旧密钥' },
  still_accepted: { en: 'still accepted', zh: '仍可使用' },
  last_push: { en: 'Last push', zh: '最近推送' },
  never: { en: 'never', zh: '从未' },
  access_token: { en: 'Access token', zh: 'access_token' },
  token_valid: { en: 'valid until {time}', zh: '有效期至 {time}' },
  token_expired: { en: 'expired at {time}', zh: '已于 {time} 过期' },
  token_none: { en: 'not fetched yet', zh: '尚未获取' },
  token_rests: {
    en: 'no call until {time}: {reason}',
    zh: '{time} 前不再调用：{reason}',
  },
  breaker_open: {
    en: 'the platform refused with {errcode}; no call until {time}',
    zh: '平台返回错误 {errcode}；{time} 前不再调用',
  },
  secrets_open: { en: 'they open', zh: '可以解开' },
  online: { en: 'Token endpoint', zh: '获取 access_token' },
  online_ok: { en: 'the platform gave a token', zh: '平台已返回 access_token' },
  online_failed: { en: 'no token: {reason}', zh: '未获得 access_token：{reason}' },
  errcode_40125: {
    en: '40125: the AppSecret is wrong; wcg account rotate <name> --secret replaces it',
    zh: '40125：AppSecret 错误；用 wcg account rotate <名称> --secret 更换',
  },
  errcode_40001: {
    en: '40001: the AppSecret is wrong; wcg account rotate <name> --secret replaces it',
    zh: '40001：AppSecret 错误；用 wcg account rotate <名称> --secret 更换',
  },
  errcode_40013: {
    en: '40013: the app id is wrong; compare it with the platform’s page, upper and lower case too',
    zh: '40013：AppID 错误；请与平台页面核对（区分大小写）',
  },
  errcode_40164: {
    en: '40164: this machine’s address is not on the account’s IP white list; add it on the platform’s page and wait ten minutes',
    zh: '40164：本机 IP 不在白名单；请在平台页面添加，约十分钟后生效',
  },
  errcode_40243: {
    en: '40243: the AppSecret is frozen; unfreeze it on the platform’s page (up to ten minutes)',
    zh: '40243：AppSecret 已被冻结；请在平台页面解冻（最长十分钟生效）',
  },
  errcode_50004: {
    en: '50004: the platform has barred the account from tokens; ask the platform',
    zh: '50004：平台已禁止该帐号使用 access_token；请联系平台',
  },
  errcode_50007: {
    en: '50007: the platform has frozen the account; ask the platform',
    zh: '50007：帐号已被平台冻结；请联系平台',
  },
  app_added: {
    en: 'Application {name} is added. Its key, shown this once:',
    zh: '已添加应用 {name}。密钥只显示这一次：',
  },
  app_revoked: {
    en: 'The key of {name} is revoked; every process refuses it within five seconds.',
    zh: '应用 {name} 的密钥已吊销，所有进程将在五秒内拒绝它。',
  },
  signed_app_added: {
    en: 'Application {name} is added, and has to sign every request. Its key and its signing secret, shown this once:',
    zh: '已添加应用 {name}，它的每个请求都必须签名。密钥和签名密钥只显示这一次：',
  },
  app_rotated: {
    en: 'Application {name} has a new signing secret, shown this once:',
    zh: '应用 {name} 已有新的签名密钥，只显示这一次：',
  },
  app_previous_counts: {
    en: 'The one before is accepted until {until}; --now ends it at once.',
    zh: '旧的签名密钥在 {until} 之前仍可使用；加 --now 可立即作废。',
  },
  app_may_sign: {
    en: 'A signature that it sends is checked from now on; wcg app set {name} --signatures required demands one with every request.',
    zh: '此后它发来的签名都会被校验；用 wcg app set {name} --signatures required 可要求每个请求都签名。',
  },
  app_signs_off: {
    en: '{name} signs no more: its signing secret is forgotten, and a signature is refused.',
    zh: '{name} 不再签名：签名密钥已删除，带签名的请求将被拒绝。',
  },
  app_signs_optional: {
    en: '{name} need not sign; a signature that it sends is checked. Every process knows within five seconds.',
    zh: '{name} 可以不签名，但发来的签名都会被校验。所有进程将在五秒内生效。',
  },
  app_signs_required: {
    en: '{name} has to sign every request. Every process knows within five seconds.',
    zh: '{name} 的每个请求都必须签名。所有进程将在五秒内生效。',
  },
  signatures: { en: 'Signatures', zh: '签名' },
  signatures_off: { en: 'off', zh: '关闭' },
  signatures_optional: { en: 'optional', zh: '可选' },
  signatures_required: { en: 'required', zh: '必须' },
  no_apps: {
    en: 'There is no application yet; wcg app add adds one.',
    zh: '还没有应用；用 wcg app add 添加。',
  },
  endpoint_added: {
    en: 'Endpoint {id} is there. Its signing secret, shown this once:',
    zh: '已登记接收地址 {id}。签名密钥只显示这一次：',
  },
  endpoint_rotated: {
    en: 'Endpoint {id} has a new signing secret, shown this once. The one before signs too for a day:',
    zh: '接收地址 {id} 已更换签名密钥，只显示这一次；旧密钥在一天内仍同时签名：',
  },
  endpoint_removed: {
    en: 'Endpoint {id} is removed; nothing more is delivered to it.',
    zh: '接收地址 {id} 已删除，不再投递。',
  },
  endpoint_paused: {
    en: 'Endpoint {id} is paused; what is for it waits. wcg endpoint resume {id} posts it.',
    zh: '接收地址 {id} 已暂停，通知会保留；用 wcg endpoint resume {id} 恢复投递。',
  },
  endpoint_resumed: {
    en: 'Endpoint {id} is resumed; what has waited for it is posted by a running gateway.',
    zh: '接收地址 {id} 已恢复；保留的通知由运行中的网关投递。',
  },
  endpoint_state_paused: { en: 'paused ({reason})', zh: '已暂停（{reason}）' },
  endpoint_state_failing: { en: 'failing since {since}', zh: '自 {since} 起持续失败' },
  check_endpoints: { en: 'endpoints', zh: '接收地址' },
  endpoints_ok: { en: '{count}, none of them paused', zh: '共 {count} 个，均未暂停' },
  endpoint_rests: {
    en: 'endpoint {id} of {application} is paused since {since} ({reason}); repaired? wcg endpoint resume {id}',
    zh: '业务应用 {application} 的接收地址 {id} 自 {since} 起暂停（{reason}）；修复后执行 wcg endpoint resume {id}',
  },
  endpoint_fails: {
    en: 'endpoint {id} of {application} has taken nothing since {since}; GET /v1/endpoints/{id}/deliveries says why',
    zh: '业务应用 {application} 的接收地址 {id} 自 {since} 起没有成功接收；原因见 GET /v1/endpoints/{id}/deliveries',
  },
  no_endpoints: {
    en: 'There is no endpoint yet; wcg endpoint add adds one.',
    zh: '还没有接收地址；用 wcg endpoint add 登记。',
  },
  key: { en: 'Key', zh: '密钥' },
  accounts: { en: 'Accounts', zh: '帐号' },
  created: { en: 'Created', zh: '创建时间' },
  scope: { en: 'Scope', zh: '范围' },
  since: { en: 'Since', zh: '生效时间' },
  evidence: { en: 'Evidence', zh: '依据' },
  change: { en: 'Change', zh: '变化' },
  reason: { en: 'Reason', zh: '原因' },
  history: { en: 'History', zh: '历史' },
  nothing_known: {
    en: 'Nothing is known about this person on this account; nothing may be sent.',
    zh: '此帐号没有此人的任何记录；不能向其发送。',
  },
  erase_needs_yes: {
    en: 'erasing cannot be undone; repeat the command with --yes',
    zh: '删除无法撤销；请加上 --yes 再执行',
  },
  erased: {
    en: 'The person’s data on {account} is erased: {entries} ledger entries, {events} events, {messages} messages. Erasure {id} stays as the record of it.',
    zh: '此人在 {account} 上的数据已删除：授权记录 {entries} 条、事件 {events} 条、消息 {messages} 条。删除记录 {id} 予以保留。',
  },
  erased_nothing: {
    en: 'Nothing was held about this openid on {account}: no ledger entry, event or message. Is it the right one, and not erased before? Erasure {id} stays as the record of it.',
    zh: '{account} 上没有此 openid 的授权记录、事件或消息。请确认 openid 无误，或是否此前已删除。删除记录 {id} 予以保留。',
  },
  no_erasures: { en: 'Nobody was erased on this account.', zh: '此帐号没有删除记录。' },
  erasure: { en: 'Erasure', zh: '删除记录' },
  erased_at: { en: 'Erased', zh: '删除时间' },
  erased_entries: { en: 'Ledger entries', zh: '授权记录' },
  erased_events: { en: 'Events', zh: '事件' },
  erased_messages: { en: 'Messages', zh: '消息' },
  bad_openid: {
    en: 'must be an openid or userid as the platform writes it: 1 to 128 printable ASCII characters without spaces',
    zh: '必须是平台给出的 openid 或 userid：1 到 128 个可打印 ASCII 字符，不含空格',
  },
  is_live: { en: 'Live', zh: '有效' },
  until: { en: 'Until', zh: '有效期至' },
  credits: { en: 'Credits', zh: '剩余次数' },
  yes: { en: 'yes', zh: '是' },
  no: { en: 'no', zh: '否' },
  stop_lifted: { en: 'stop lifted', zh: '停止已解除' },
  stopped: { en: 'stopped', zh: '已停止' },
  message_accepted: { en: 'Message {id} is {status}.', zh: '消息 {id} 的状态：{status}。' },
  message_status: {
    en: 'Message {id} is {status}: {reason}',
    zh: '消息 {id} 的状态：{status}（{reason}）',
  },
  still_under_way: {
    en: 'The message is still under way; is a gateway running (wcg serve or wcg work)?',
    zh: '消息仍在处理中；网关（wcg serve 或 wcg work）是否在运行？',
  },
  broadcast_accepted: {
    en: 'Broadcast {id} is {status}: {accepted} recipients, {duplicate} duplicates, {bad} bad lines.',
    zh: '群发 {id} 的状态：{status}；接收人 {accepted} 个，重复 {duplicate} 个，错误行 {bad} 个。',
  },
  broadcast_to_everyone: {
    en: 'Broadcast {id} is {status}, to everyone with live consent {scope}; wcg broadcast show {id} --watch shows how far it is.',
    zh: '群发 {id} 的状态：{status}；发给拥有有效同意 {scope} 的所有人；用 wcg broadcast show {id} --watch 查看进度。',
  },
  only_the_broadcast: {
    en: 'must hold the broadcast alone, one JSON object of at most 64 KiB without recipients or audience: --everyone says to whom',
    zh: '只能包含群发内容：一个不超过 64 KiB 的 JSON 对象，不含接收人和 audience；发给谁由 --everyone 指定',
  },
  broadcast_bad_line: { en: 'line {line}: {reason}', zh: '第 {line} 行：{reason}' },
  broadcast_status: { en: 'Broadcast {id} is {status}.', zh: '群发 {id} 的状态：{status}。' },
  no_broadcasts: {
    en: 'There is no broadcast yet; wcg broadcast create makes one.',
    zh: '还没有群发；用 wcg broadcast create 创建。',
  },
  broadcast_rate: { en: '{rate} a second', zh: '每秒 {rate} 条' },
  broadcast_rests: { en: 'rests until {time} ({reason})', zh: '暂停至 {time}（{reason}）' },
  quiet_hours: { en: 'quiet hours', zh: '免打扰时段' },
  broadcast_left: { en: '{time} left', zh: '剩余 {time}' },
  recipients: { en: 'Recipients', zh: '接收人' },
  channel: { en: 'Channel', zh: '通道' },
  count: { en: 'Count', zh: '数量' },
  sandbox_listening: { en: 'The sandbox listens on {url}', zh: '沙箱正在监听 {url}' },
  check_settings: { en: 'Settings', zh: '设置' },
  check_database: { en: 'Database', zh: '数据库' },
  check_migrations: { en: 'Migrations', zh: '数据库迁移' },
  check_master_key: { en: 'Master key', zh: '主密钥' },
  check_clock: { en: 'Clock', zh: '时钟' },
  check_accounts: { en: 'Accounts', zh: '帐号' },
  check_account: { en: 'Account {name}', zh: '帐号 {name}' },
  check_public_url: { en: 'Public address', zh: '公网地址' },
  ok: { en: 'ok', zh: '正常' },
  warning: { en: 'warning', zh: '注意' },
  failure: { en: 'failed', zh: '失败' },
  settings_ok: { en: 'they can be used ({environment})', zh: '可用（{environment}）' },
  database_ok: { en: 'it answers', zh: '连接正常' },
  database_embedded: {
    en: 'the embedded one answers, in {directory}; set DATABASE_URL for production',
    zh: '内嵌数据库正常，位于 {directory}；生产环境请设置 DATABASE_URL',
  },
  seals_ok: { en: 'it opens all {count} secrets', zh: '可解开全部 {count} 个密钥' },
  seals_old: {
    en: '{count} secrets are sealed under an older key; wcg account reseal moves them',
    zh: '{count} 个密钥仍由旧主密钥加密；请运行 wcg account reseal',
  },
  clock_ok: { en: 'it agrees with the database’s', zh: '与数据库一致' },
  clock_apart: {
    en: 'it differs from the database’s by {seconds} s; set both by NTP, or pushes will look stale and leases will overlap',
    zh: '与数据库相差 {seconds} 秒；请用 NTP 校时，否则推送会被视为过期、租约会重叠',
  },
  public_url_missing: {
    en: 'PUBLIC_BASE_URL is not set; the gateway cannot tell you its callback addresses',
    zh: '未设置 PUBLIC_BASE_URL，无法显示完整的回调 URL',
  },
  public_url_port: {
    en: '{url} names a port; the platform reaches only 80 and 443',
    zh: '{url} 带有端口；平台只能访问 80 和 443',
  },
  check_jobs: { en: 'Jobs', zh: '后台任务' },
  jobs_ok: { en: '{waiting} waiting, none given up', zh: '等待 {waiting} 个，没有放弃的任务' },
  jobs_dead: {
    en: '{count} × {task} given up after its last try; docs/operations.md says how to look and try again',
    zh: '{task} 有 {count} 个任务多次失败后已放弃；查看与重试方法见 docs/operations.md',
  },
  no_component: {
    en: 'is of kind {kind}; only a component has merchants that the platform lists',
    zh: '的类型是 {kind}；只有第三方平台（component）才有授权方列表',
  },
  no_ticket_start: {
    en: 'is of kind {kind}; only the pushes of a component can be switched on',
    zh: '的类型是 {kind}；只有第三方平台（component）的 ticket 推送可以重新开启',
  },
  tickets_started: {
    en: 'The pushes of tickets were off and are on now; one comes within ten minutes.',
    zh: 'ticket 推送原本已停止，现已重新开启；十分钟内会收到一张。',
  },
  tickets_were_on: {
    en: 'The pushes of tickets were on. If none comes, look at the callback URL: it must answer success and nothing else.',
    zh: 'ticket 推送本来就是开启的。如果仍收不到，请检查回调 URL：只能返回 success。',
  },
  tickets_refused: {
    en: 'The platform refused: {errcode} {errmsg}. wcg explain {errcode} says what to do.',
    zh: '平台拒绝：{errcode} {errmsg}。处理办法见 wcg explain {errcode}。',
  },
  tickets_not_reached: {
    en: 'The platform gave no answer ({reason}). Calling again can do no harm.',
    zh: '平台没有应答（{reason}）。可以放心重试。',
  },
  reconciled_listed: { en: 'Merchants listed by the platform', zh: '平台列出的商家' },
  reconciled_admitted: { en: 'Admitted: their notice was lost', zh: '补记为已授权（通知曾丢失）' },
  reconciled_withdrawn: { en: 'Found to have left', zh: '补记为已取消授权' },
  reconciled_unclear: {
    en: 'Not clear; ask again later, the log says why',
    zh: '未能确认；请稍后重试，原因见日志',
  },
  sync_list: { en: 'Reading the list', zh: '读取关注者列表' },
  sync_apply: { en: 'Comparing', zh: '核对' },
  sync_leave: { en: 'Asking about those who are missing', zh: '查询列表中没有的人' },
  sync_block_list: { en: 'Reading the blacklist', zh: '读取黑名单' },
  sync_block: { en: 'Applying the blacklist', zh: '应用黑名单' },
  sync_progress: {
    en: '{phase}: {done} of {of}, {rate}/s, {seconds} s left',
    zh: '{phase}：{done} / {of}，每秒 {rate}，剩余 {seconds} 秒',
  },
  sync_listed: { en: 'Followers listed', zh: '列表中的关注者' },
  sync_granted: { en: 'Found to follow', zh: '补记为已关注' },
  sync_revoked: { en: 'Found gone', zh: '补记为已取消关注' },
  sync_suppressed: {
    en: 'Suppressed (blacklist, invalid openid)',
    zh: '已抑制（黑名单、无效 openid）',
  },
  sync_lifted: { en: 'Off the blacklist again', zh: '已移出黑名单' },
  sync_done: { en: 'Done.', zh: '已完成。' },
  sync_done_but: { en: 'Done, but not all: {reason}.', zh: '已完成，但不完整：{reason}。' },
  sync_paused: {
    en: 'The platform’s daily quota is used up. A running gateway goes on at {time}; so does this command, if you call it again.',
    zh: '平台当日调用额度已用完。运行中的网关会在 {time} 继续；也可以到时再次运行此命令。',
  },
  sync_failed: {
    en: 'The platform refused: {reason}. docs/errors.md explains the code.',
    zh: '平台拒绝：{reason}。错误码说明见 docs/errors.md。',
  },
  sync_stopped: {
    en: 'Stopped; a running gateway goes on with it within a minute, or call the command again.',
    zh: '已停止；运行中的网关会在一分钟内继续，也可以再次运行此命令。',
  },
  imported: {
    en: '{written} consents are new; {known} were on record already.',
    zh: '新写入 {written} 条授权；{known} 条已有记录。',
  },
  import_checked: {
    en: '{consents} consents, no faults. Nothing was written.',
    zh: '共 {consents} 条授权，没有问题。未写入任何数据。',
  },
  import_progress: {
    en: '{read} of {consents} read, {written} new',
    zh: '已读 {read} / {consents}，新写入 {written}',
  },
  import_stopped: {
    en: 'Stopped after {read} of {consents} ({written} new). Call it again with the same file: what is written is left out.',
    zh: '在 {read} / {consents} 处停止（新写入 {written}）。用同一文件再次运行即可，已写入的会跳过。',
  },
  import_more_bad: { en: '{count} lines are bad in all', zh: '共有 {count} 行有问题' },
  import_not_an_object: { en: 'must be one JSON object', zh: '必须是一个 JSON 对象' },
  import_wrong_columns: {
    en: 'must have as many columns as the first line',
    zh: '列数必须与首行相同',
  },
  import_unknown_field: {
    en: 'has a field that is none of subject, scope, state, effective_at, reason, credits',
    zh: '含有未知字段；可用字段：subject、scope、state、effective_at、reason、credits',
  },
  import_bad_subject: {
    en: 'subject must be an openid: up to 64 letters, digits, _ - @ .',
    zh: 'subject 必须是 openid：最多 64 个字母、数字或 _ - @ .',
  },
  import_bad_scope: {
    en: 'scope must be follow, template:<id>, everything, or to revoke also template:*, conversation',
    zh: 'scope 必须是 follow、template:<id>、everything；撤销时还可以是 template:*、conversation',
  },
  import_not_grantable: {
    en: 'this scope cannot be granted by an import; the person opens it',
    zh: '该 scope 不能通过导入授予，只能由用户本人触发',
  },
  import_bad_state: {
    en: 'state must be granted, revoked or suppressed',
    zh: 'state 必须是 granted、revoked 或 suppressed',
  },
  import_bad_time: {
    en: 'effective_at must be a time with seconds and zone: 2026-11-21T08:00:00+08:00',
    zh: 'effective_at 必须是带秒和时区的时间：2026-11-21T08:00:00+08:00',
  },
  import_future_time: { en: 'effective_at is in the future', zh: 'effective_at 在未来' },
  import_bad_reason: {
    en: 'reason must say where it comes from, in 1 to 500 letters',
    zh: 'reason 必须说明来源，1 到 500 个字符',
  },
  import_bad_credits: {
    en: 'credits is for granted templates only: 0 to 1000, or standing',
    zh: 'credits 只用于已授予的模板：0 到 1000，或 standing',
  },
  page_needs_address: {
    en: 'must be set: the platform’s page sends the browser back to the gateway',
    zh: '必须设置：授权页会将浏览器跳转回网关',
  },
  page_valid: {
    en: 'It is good for half an hour (a suite’s for 20 minutes). Open it from a page of the domain that is entered on the platform.',
    zh: '有效期 30 分钟（第三方应用为 20 分钟）。请从平台上登记的域名下的网页打开。',
  },
  not_a_code: {
    en: 'must be an errcode of the platform: a whole number, such as 43004',
    zh: '必须是平台错误码（整数），例如 43004',
  },
  platform_or_account: {
    en: 'says the same as --account: give one of them',
    zh: '与 --account 重复：只填其中一个',
  },
  code: { en: 'Code', zh: '错误码' },
  meaning: { en: 'Meaning', zh: '含义' },
  code_unlisted: { en: 'in no table we know', zh: '我们的表中没有' },
  class: { en: 'Class', zh: '分类' },
  effect: { en: 'The gateway', zh: '网关处理' },
  retry: { en: 'Called again', zh: '是否重试' },
  retry_never: { en: 'never by itself', zh: '不会自动重试' },
  retry_with_new_token: { en: 'once, with another token', zh: '换取新 token 后重试一次' },
  retry_after_pause: { en: 'after 1, 2 and 4 seconds', zh: '约 1、2、4 秒后重试' },
  retry_next_minute: { en: 'in the next clock minute', zh: '下一分钟重试' },
  retry_next_day: { en: 'after 00:00 China time', zh: '北京时间 00:00 之后重试' },
  action: { en: 'You', zh: '建议' },
  source: { en: 'Source', zh: '来源' },
  override: { en: 'Override', zh: '人工修改' },
  override_line: {
    en: '{from} → {to}, by {actor} at {time}: {reason}',
    zh: '{from} → {to}，{actor} 于 {time}：{reason}',
  },
  override_set: {
    en: 'Code {code} of {name} is {class} from now on; every process knows within five seconds.',
    zh: '帐号 {name} 的错误码 {code} 现在按 {class} 处理，所有进程将在五秒内生效。',
  },
  override_removed: {
    en: 'The override of code {code} of {name} is taken back; the table holds again.',
    zh: '已撤销帐号 {name} 对错误码 {code} 的修改，恢复默认分类。',
  },
  override_none: {
    en: 'There is no override of code {code} for {name}.',
    zh: '帐号 {name} 没有对错误码 {code} 的修改。',
  },
  no_overrides: {
    en: 'No code of {name} was ever overridden.',
    zh: '帐号 {name} 没有修改过任何错误码。',
  },
  override_ignored: { en: 'ignored: {why}', zh: '不生效：{why}' },
  always_opt_out: {
    en: 'code {code} always marks the person as opted out: the product’s rule, which no operator changes',
    zh: '错误码 {code} 始终视为用户已拒收：这是产品规则，不能修改',
  },
  code_of_success: {
    en: 'code {code} is the platform’s success, or that it has the message already; it has one meaning',
    zh: '错误码 {code} 表示成功，或平台已有这条消息；不能修改',
  },
  code_of_token: {
    en: 'code {code} says that a token or ticket is dead; it has one meaning',
    zh: '错误码 {code} 表示 token 或 ticket 已失效；不能修改',
  },
  class_is_settled: {
    en: 'only the platform says that a call succeeded or that a token is dead; code {code} does not say it',
    zh: '只有平台能表示成功或 token 失效；错误码 {code} 没有这个含义',
  },
  refusal_is_repeated: {
    en: 'code {code} is a refusal of the person, which is never called again; choose a class that ends the message',
    zh: '错误码 {code} 是用户的拒收，不能重试；请选择会结束消息的分类',
  },
  code_of_one_person: {
    en: 'code {code} is about one person; this class would stop or replace messages beyond this one',
    zh: '错误码 {code} 只涉及一个用户；此分类会停止其他消息，或用另一条消息代替',
  },
  code_of_no_refusal: {
    en: 'code {code} is about the message or the account, not a refusal of the person; it would opt out everybody',
    zh: '错误码 {code} 说的是消息或帐号，不是用户的拒收；这样会把所有人记为已拒收',
  },
  code_of_no_person: {
    en: 'code {code} is about the account’s calls, not about the person; it would take everybody’s consent',
    zh: '错误码 {code} 说的是帐号的调用，与用户无关；这样会使所有人的同意失效',
  },
  actor: { en: 'By', zh: '操作人' },
  in_force: { en: 'in force', zh: '生效' },
  taken_back: {
    en: 'taken back by {actor} at {time}: {reason}',
    zh: '{actor} 于 {time} 撤销：{reason}',
  },
  account_is_disabled: {
    en: 'account {name} is disabled; wcg account set {name} --enable first',
    zh: '帐号 {name} 已停用；请先运行 wcg account set {name} --enable',
  },
  quota_day: {
    en: 'China day {day}; the counters begin again at {time}.',
    zh: '北京时间 {day}；计数将于 {time} 归零。',
  },
  no_calls_today: { en: 'No API was called today.', zh: '今日没有调用任何接口。' },
  path: { en: 'API', zh: '接口' },
  calls: { en: 'Calls', zh: '调用次数' },
  elsewhere: { en: 'Elsewhere', zh: '其他系统' },
  daily_limit: { en: 'Daily limit', zh: '当日额度' },
  used: { en: 'Used', zh: '已用' },
  limit_unconfirmed: { en: '(published, unconfirmed)', zh: '（公开数值，未确认）' },
  limit_met: { en: '(45009 there)', zh: '（在此返回 45009）' },
  quota_clears: {
    en: 'Of the {per_month} clearings of this month this gateway has used {used}.',
    zh: '本月可清零 {per_month} 次，本网关已用 {used} 次。',
  },
  quota_unlimited: { en: 'no limit known', zh: '无已知额度' },
  quota_ok: { en: 'ok', zh: '正常' },
  quota_warning: { en: 'over 80 %', zh: '超过 80 %' },
  quota_critical: { en: 'over 95 %', zh: '超过 95 %' },
  quota_resting: { en: 'rests until the next day', zh: '已暂停到次日' },
  clear_needs_yes: {
    en: 'the platform allows {per_month} clearings a month, and this gateway has used {used} of them for {name} (others may have used more); every daily counter of the account goes to zero. Repeat the command with --yes to use one',
    zh: '平台每月允许清零 {per_month} 次，本网关已为 {name} 使用 {used} 次（其他系统可能也用过）；该帐号的所有当日计数将归零。确认请加上 --yes',
  },
  quota_cleared: {
    en: 'The daily counters of {name} are zero; {left} clearings are left this month. Channels that rested for the quota go on.',
    zh: '帐号 {name} 的当日计数已清零；本月还可清零 {left} 次。因额度暂停的通道已恢复。',
  },
  template: { en: 'Template', zh: '模板 ID' },
  template_title: { en: 'Title', zh: '标题' },
  fields: { en: 'Fields', zh: '字段' },
  aliases: { en: 'Aliases', zh: '别名' },
  template_live: { en: 'live', zh: '正常' },
  template_appeared: { en: 'new', zh: '新增' },
  template_changed: { en: 'changed', zh: '内容已变更' },
  template_withdrawn: { en: 'withdrawn', zh: '已下架' },
  template_banned: { en: 'banned', zh: '已封禁' },
  template_returned: { en: 'live again', zh: '已恢复' },
  no_templates: {
    en: 'No template of {name} is known; wcg templates sync {name} asks the platform.',
    zh: '尚无帐号 {name} 的模板记录；可运行 wcg templates sync {name} 向平台查询。',
  },
  no_template_channels: {
    en: 'is of a kind without templates',
    zh: '此类帐号没有模板',
  },
  templates_compared: { en: '{channel}: {listed} listed', zh: '{channel}：平台返回 {listed} 个' },
  templates_doubted: {
    en: '{channel}: the list came back empty although templates are known; nothing was changed. Sync again if that is so',
    zh: '{channel}：平台返回空列表，但此前有模板；本次未作更改。若确实如此，请再核对一次',
  },
  templates_refused: {
    en: '{channel}: the platform refused the list with {errcode}; nothing was changed',
    zh: '{channel}：平台拒绝返回列表（{errcode}）；本次未作更改',
  },
  templates_same: { en: 'Nothing has changed.', zh: '没有变化。' },
  alias_removed: { en: 'Alias @{alias} is removed.', zh: '已删除别名 @{alias}。' },
  alias_needs_template: {
    en: 'is required: there is no such alias yet',
    zh: '必须填写：该别名尚不存在',
  },
  map_without_fallback: {
    en: 'belongs to a --fallback each; there are more maps than fallbacks',
    zh: '每个 --map 对应一个 --fallback；现在多于 --fallback 的数量',
  },
  bad_map: {
    en: 'must be pairs such as thing2=thing1 or phrase3:=a text, with commas in between',
    zh: '必须是 thing2=thing1 或 phrase3:=固定文字 这样的组合，以逗号分隔',
  },
  check_templates: { en: 'templates of {name}', zh: '{name} 的模板' },
  templates_ok: { en: 'aliases: {count}', zh: '别名：{count} 个' },
  finding_gone: {
    en: '{template} of @{alias} is {detail}; give the alias another template with wcg templates alias',
    zh: '@{alias} 的模板 {template} 状态为 {detail}；请用 wcg templates alias 更换模板',
  },
  finding_not_known: {
    en: '{template} of @{alias} is not in the platform’s list; wcg templates sync asks again',
    zh: '@{alias} 的模板 {template} 不在平台列表中；可运行 wcg templates sync 重新查询',
  },
  finding_changed: {
    en: '{template} of @{alias} changed at {detail}; compare its fields with what applications send',
    zh: '@{alias} 的模板 {template} 于 {detail} 变更；请核对应用发送的字段',
  },
  finding_map: {
    en: '{template} of @{alias}: {detail} does not fit its map; set the alias again with --map',
    zh: '@{alias} 的模板 {template}：{detail} 与字段映射不符；请用 --map 重新设置别名',
  },
  finding_waiting: {
    en: '{detail} messages wait for {template}, which is gone; those without an alias will fail',
    zh: '有 {detail} 条消息等待发送，但模板 {template} 已不可用；未使用别名的消息将失败',
  },
  duration: { en: 'Took', zh: '耗时' },
  client_ip: { en: 'From', zh: '来源 IP' },
  request: { en: 'Request', zh: '请求' },
  request_body: { en: 'Body', zh: '请求内容' },
  response: { en: 'Answer', zh: '返回' },
  drill_needs_yes: {
    en: 'two of the day’s 20 forced refreshes are used, and every token of {name} but the last is refused at once, also where other systems hold one; the gateway itself goes on. Repeat the command with --yes',
    zh: '将使用当日 20 次强制刷新中的 2 次；除最新一个外，{name} 的所有 token 立即失效（包括其他系统持有的），网关自身不受影响。确认请加上 --yes',
  },
  drill_first: {
    en: 'Forced once (version {version}): the token before is dead; whoever uses it is answered 40001. The gateway’s processes take the new one within five seconds.',
    zh: '第一次强制刷新完成（版本 {version}）：之前的 token 已失效，继续使用会返回 40001。网关各进程将在五秒内换用新的 token。',
  },
  drill_waits: {
    en: 'The platform ignores a second forced refresh inside 30 s; waiting {seconds} s …',
    zh: '平台会忽略 30 秒内的第二次强制刷新；等待 {seconds} 秒……',
  },
  drill_second: {
    en: 'Forced twice (version {version}): every token from before the drill is dead. A system that fails now has used a token of its own: let it read the token here.',
    zh: '第二次强制刷新完成（版本 {version}）：演练之前的所有 token 均已失效。此刻出错的系统使用的是自己保存的 token，请改为从网关读取。',
  },
  drill_stopped: {
    en: 'Forced refresh {number} was not possible: {reason}; again from {time}.',
    zh: '第 {number} 次强制刷新未能执行：{reason}；{time} 之后可再试。',
  },
  token_died: {
    en: 'A token of {name} died {minutes} minutes early at {time} ({count} in seven days).',
    zh: '帐号 {name} 的 token 于 {time} 提前 {minutes} 分钟失效（七天内 {count} 次）。',
  },
  died_classic_elsewhere: {
    en: 'Likely another system fetches tokens at /cgi-bin/token with the same AppSecret: wcg account set {name} --token-kind stable is apart from it, or let that system read the token here.',
    zh: '可能有其他系统用同一 AppSecret 调用 /cgi-bin/token：运行 wcg account set {name} --token-kind stable 可与其隔离，或让该系统从网关读取 token。',
  },
  died_forced_elsewhere: {
    en: 'Likely another system forces stable tokens with the AppSecret of {name}, or somebody made a leak drill elsewhere: find it, or reset the AppSecret.',
    zh: '可能有其他系统用 {name} 的 AppSecret 强制刷新稳定版 token，或在别处做了泄露演练：请找到该系统，或重置 AppSecret。',
  },
  died_replaced_elsewhere: {
    en: 'Likely somebody else fetches tokens with the credentials of {name}, or the authorisation was taken back.',
    zh: '可能有其他系统使用 {name} 的凭证获取 token，或授权已被取消。',
  },
  died_secret_reset: {
    en: 'The AppSecret was reset: wcg account rotate {name} --secret stores the current one.',
    zh: 'AppSecret 已被重置：请用 wcg account rotate {name} --secret 登记当前的 AppSecret。',
  },
  account_ok: { en: '{mode} mode', zh: '{mode} 模式' },
} as const satisfies Record<string, Spoken>

export type WordKey = keyof typeof WORDS

type Holes<Text extends string> = Text extends `${string}{${infer Name}}${infer Rest}`
  ? Name | Holes<Rest>
  : never

type Values<Key extends WordKey> = [Holes<(typeof WORDS)[Key]['en']>] extends [never]
  ? []
  : [Readonly<Record<Holes<(typeof WORDS)[Key]['en']>, string | number>>]

/** Says one of `WORDS` in a language; the values fill its holes. */
export type Say = <Key extends WordKey>(key: Key, ...values: Values<Key>) => string

export function speakIn(language: Language): Say {
  return (key, ...values) => fill(WORDS[key][language], values[0] ?? {})
}

function fill(text: string, values: Readonly<Record<string, string | number>>): string {
  return text.replace(/\{([a-z_]+)\}/g, (hole, name: string) => String(values[name] ?? hole))
}

/**
 * The language of a person: `--lang`, else the first of LC_ALL, LC_MESSAGES and LANG that is set
 * (POSIX's order); Chinese when it begins with `zh`, English otherwise.
 */
export function chooseLanguage(
  asked: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): Language {
  const wish = [asked, env['LC_ALL'], env['LC_MESSAGES'], env['LANG']].find(Boolean)
  return wish?.toLowerCase().startsWith('zh') ? 'zh' : 'en'
}
