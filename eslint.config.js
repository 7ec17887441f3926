import js from '@eslint/js'
import { defineConfig } from 'eslint/config'
import { importX } from 'eslint-plugin-import-x'
import tseslint from 'typescript-eslint'

const FLOOR = ['foundation', 'database', 'accounts']
const BESIDE_THE_API = [
  ...FLOOR,
  'applications',
  'consent',
  'delivery',
  'events',
  'messages',
  'templates',
  'wechat',
]

/**
 * The arrow: each room of src/ with the rooms and single files that it may import, for types too.
 * A room that needs something from the other side declares the function type it needs, and
 * compose.ts passes the function in.
 */
const ROOMS = {
  foundation: [],
  database: ['foundation'],
  accounts: ['foundation', 'database'],
  events: FLOOR,
  consent: [...FLOOR, 'events'],
  receiver: ['foundation', 'accounts', 'events'],
  wechat: FLOOR,
  templates: [...FLOOR, 'wechat'],
  messages: [...FLOOR, 'consent', 'templates', 'wechat'],
  'follow-ups': [...FLOOR, 'events', 'consent', 'wechat'],
  dispatch: [...FLOOR, 'consent', 'messages', 'wechat'],
  applications: FLOOR,
  delivery: [...FLOOR, 'events', 'messages', 'applications'],
  api: BESIDE_THE_API,
  console: BESIDE_THE_API,
  // It signs pushes with the production code and answers with the platform's codes; nothing more.
  sandbox: [
    'foundation',
    'receiver/message-crypto.ts',
    'receiver/signature.ts',
    'receiver/xml.ts',
    'wechat/error-codes.ts',
  ],
}

/** The files and the folder above the rooms, from the bottom to the top. */
const ROOF = {
  'config.ts': ['foundation'],
  'app.ts': ['foundation', 'receiver', 'api', 'console'],
  'compose.ts': [...Object.keys(ROOMS).filter((room) => room !== 'sandbox'), 'app.ts', 'config.ts'],
  commands: [...Object.keys(ROOMS), 'app.ts', 'compose.ts', 'config.ts'],
  'main.ts': ['foundation', 'commands', 'config.ts'],
}

const importZones = [
  ...Object.entries({ ...ROOMS, ...ROOF }).map(([room, allowed]) => ({
    target: `./src/${room}`,
    from: './src',
    except: [room, ...allowed].map((path) => `./${path}`),
    message: `src/${room} may import only: ${allowed.join(', ') || 'nothing of ours'}. Declare the function type you need and let compose.ts pass it in.`,
  })),
  {
    target: './src',
    from: ['./test', './migrations', './bench'],
    message: 'Code that runs in production does not import tests or migrations.',
  },
  {
    target: './migrations',
    from: './src',
    message: 'A migration is never edited, so it must not depend on code that is.',
  },
]

/** Packages that one edge keeps to itself. `types`: their types may travel further. */
const EDGES = {
  'wechat-crypto': { rule: 'Only receiver/message-crypto.ts wraps wechat-crypto.' },
  'fast-xml-parser': { rule: 'Only receiver/xml.ts reads XML.' },
  express: { rule: 'Express ends at receiver, api, console, sandbox and the app.' },
  knex: { rule: 'Only *-store.ts, database/ and compose.ts use knex; take a handle.', types: true },
  pg: { rule: 'Only database/ opens connections.', types: true },
  'graphile-worker': { rule: 'Only database/ runs the job engine; add jobs with addJob.' },
}

/** Forbids importing the packages of EDGES, except those named. */
function edges(...own) {
  const paths = Object.entries(EDGES)
    .filter(([name]) => !own.includes(name))
    .map(([name, { rule, types = false }]) => ({ name, message: rule, allowTypeImports: types }))
  return { '@typescript-eslint/no-restricted-imports': ['error', { paths }] }
}

/** What a rule must not do by itself, with the way to do it. */
const EFFECTS = {
  clock: [
    {
      selector:
        "NewExpression[callee.name='Date'][arguments.length=0], CallExpression[callee.name='Date']",
      message: 'Take a Clock, or the time as an argument.',
    },
    {
      selector: "CallExpression[callee.object.name='Date'][callee.property.name='now']",
      message: 'Take a Clock, or the time as an argument.',
    },
    {
      selector: "CallExpression[callee.object.name='Math'][callee.property.name='random']",
      message: 'Take the random number as an argument.',
    },
  ],
  environment: [
    {
      selector:
        "MemberExpression[object.name='process'][property.name='env'], ImportDeclaration[source.value=/^(node:)?process$/] ImportSpecifier[imported.name='env']",
      message: 'Only config.ts knows environment variables.',
    },
  ],
  // A guess from the shape of the call: a raw query, or a table opened by its name.
  sql: [
    {
      selector:
        "CallExpression[callee.property.name='raw'][callee.object.name!='express'][callee.object.name!='String'], CallExpression[callee.name=/^(db|trx|tx|knex)$/]",
      message: 'SQL lives in *-store.ts and database/.',
    },
  ],
  halfTests: [
    {
      selector:
        'CallExpression[callee.object.name=/^(it|test|describe)$/][callee.property.name=/^(skip|only|todo|fails|skipIf|runIf)$/]',
      message: 'Every test runs, everywhere.',
    },
  ],
}

/** Forbids the effects named. */
function withoutEffects(...names) {
  return { 'no-restricted-syntax': ['error', ...names.flatMap((name) => EFFECTS[name])] }
}

export default defineConfig(
  { ignores: ['node_modules/', '.data/', 'coverage/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  js.configs.recommended,
  tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    plugins: { 'import-x': importX },
    rules: {
      eqeqeq: 'error',
      'no-console': 'error',
      'import-x/no-default-export': 'error',
      'import-x/no-restricted-paths': [
        'error',
        { basePath: import.meta.dirname, zones: importZones },
      ],
      '@typescript-eslint/consistent-type-exports': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unnecessary-boolean-literal-compare': 'error',
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', ignoreRestSiblings: true },
      ],
      '@typescript-eslint/prefer-readonly': 'error',
      // `async` alone is useful: what the function throws becomes a rejection like every other.
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true, requireDefaultForNonUnion: true },
      ],
    },
  },
  {
    files: ['src/**'],
    rules: {
      // From four parameters on, pass one object: a call must be readable without its declaration.
      'max-params': ['error', 3],
      // A function has few statements of its own. The lines are those of a factory with all the
      // functions it returns: one edge, to be read on one page.
      'max-statements': ['error', 20],
      'max-lines-per-function': ['error', { max: 120, skipBlankLines: true, skipComments: true }],
      ...edges(),
      ...withoutEffects('clock', 'environment', 'sql'),
    },
  },
  // Edges: the places that own a package or an effect. A later block replaces an earlier one.
  {
    files: ['src/{receiver,api,console,sandbox}/**', 'src/{app,compose}.ts'],
    rules: edges('express'),
  },
  { files: ['src/receiver/message-crypto.ts'], rules: edges('wechat-crypto') },
  { files: ['src/receiver/xml.ts'], rules: edges('fast-xml-parser') },
  {
    files: ['src/database/**', 'src/**/*-store.ts'],
    rules: { ...edges('knex', 'pg'), ...withoutEffects('clock', 'environment') },
  },
  { files: ['src/database/job-engine.ts'], rules: edges('pg', 'graphile-worker') },
  // The embedded server's programs are found on the PATH and started with it; no setting is read.
  { files: ['src/database/postgres-*.ts'], rules: withoutEffects('clock') },
  {
    // The composition root is one list of steps, to be read from top to bottom.
    files: ['src/compose.ts'],
    rules: {
      ...edges('express', 'knex'),
      'max-lines-per-function': 'off',
      'max-statements': 'off',
    },
  },
  { files: ['src/foundation/clock.ts'], rules: withoutEffects('environment', 'sql') },
  { files: ['src/config.ts'], rules: withoutEffects('clock', 'sql') },
  {
    files: ['src/{commands,sandbox}/**'],
    rules: withoutEffects('environment', 'sql'),
  },
  // main.ts hands process.env to readConfig and reads nothing from it.
  { files: ['src/main.ts'], rules: withoutEffects('sql') },
  { files: ['src/commands/**', 'src/main.ts'], rules: { 'no-console': 'off' } },
  { files: ['test/**', 'bench/**'], rules: withoutEffects('halfTests') },
  { files: ['bench/**'], rules: { 'no-console': 'off' } },
  { files: ['*.config.{js,ts}'], rules: { 'import-x/no-default-export': 'off' } },
  { files: ['**/*.js'], extends: [tseslint.configs.disableTypeChecked] },
)
