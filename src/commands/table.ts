import { accountAdd } from './account-add.ts'
import { accountAuthorize } from './account-authorize.ts'
import { accountCheck } from './account-check.ts'
import { accountDrill } from './account-drill.ts'
import { accountList } from './account-list.ts'
import { accountOverride } from './account-override.ts'
import { accountReconcile } from './account-reconcile.ts'
import { accountReseal } from './account-reseal.ts'
import { accountRotate } from './account-rotate.ts'
import { accountSet } from './account-set.ts'
import { accountShow } from './account-show.ts'
import { accountStartTickets } from './account-start-tickets.ts'
import { appAdd } from './app-add.ts'
import { appList } from './app-list.ts'
import { appRevoke } from './app-revoke.ts'
import { appRotate } from './app-rotate.ts'
import { appSet } from './app-set.ts'
import { broadcastCancel, broadcastPause, broadcastResume } from './broadcast-change.ts'
import { broadcastCreate } from './broadcast-create.ts'
import { broadcastList } from './broadcast-list.ts'
import { broadcastReport } from './broadcast-report.ts'
import { broadcastShow } from './broadcast-show.ts'
import type { Command } from './command.ts'
import { consentErase } from './consent-erase.ts'
import { consentErasures } from './consent-erasures.ts'
import { consentExport } from './consent-export.ts'
import { consentImport } from './consent-import.ts'
import { consentShow } from './consent-show.ts'
import { demo } from './demo.ts'
import { doctor } from './doctor.ts'
import { endpointAdd } from './endpoint-add.ts'
import { endpointPause, endpointRemove, endpointResume, endpointRotate } from './endpoint-change.ts'
import { endpointList } from './endpoint-list.ts'
import { eventsTail } from './events-tail.ts'
import { followersSync } from './followers-sync.ts'
import { explain } from './explain.ts'
import { migrateCommand } from './migrate.ts'
import { quotaClear } from './quota-clear.ts'
import { quotaRid } from './quota-rid.ts'
import { quotaShow } from './quota-show.ts'
import { sandbox } from './sandbox.ts'
import { send } from './send.ts'
import { serve } from './serve.ts'
import { templatesAlias } from './templates-alias.ts'
import { templatesList } from './templates-list.ts'
import { templatesSync } from './templates-sync.ts'
import { work } from './work.ts'

/** Every command, in the order of the help. */
export const COMMANDS: readonly Command[] = [
  serve,
  work,
  migrateCommand,
  demo,
  sandbox,
  accountAdd,
  accountList,
  accountShow,
  accountCheck,
  accountSet,
  accountRotate,
  accountAuthorize,
  accountReconcile,
  accountStartTickets,
  accountReseal,
  accountOverride,
  accountDrill,
  quotaShow,
  quotaClear,
  quotaRid,
  appAdd,
  appList,
  appSet,
  appRotate,
  appRevoke,
  endpointAdd,
  endpointList,
  endpointRotate,
  endpointPause,
  endpointResume,
  endpointRemove,
  consentShow,
  consentImport,
  consentExport,
  consentErase,
  consentErasures,
  followersSync,
  templatesSync,
  templatesList,
  templatesAlias,
  send,
  broadcastCreate,
  broadcastList,
  broadcastShow,
  broadcastPause,
  broadcastResume,
  broadcastCancel,
  broadcastReport,
  eventsTail,
  explain,
  doctor,
]
