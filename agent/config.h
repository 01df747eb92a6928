/* The administrator's file /etc/davit/davitd.json, checked whole before anything is started. */
#pragma once
#include "base/err.h"
#include "config.pb-c.h"

#define CONFIG_PATH "/etc/davit/davitd.json"
#define CONFIG_POLICY_PATH "/etc/davit/policy.json"

/* Reads the file; required: a missing one is an error, else it is the empty configuration. Owned; without defaults yet. */
Davit__AgentConfig *config_read(const char *path, bool required, struct err *e);
/* Whether the policy that it names can be read: the core reads it in earnest. A missing file is an empty policy. 0 or -1. */
int config_check_policy(const Davit__AgentConfig *c, struct err *e);
/* Fills every default, so that no reader needs to know them. 0 or -1. */
int config_complete(Davit__AgentConfig *c, struct err *e);
/* Refuses what cannot work, naming the field and the remedy. For a complete configuration. 0 or -1. */
int config_check(const Davit__AgentConfig *c, struct err *e);
/* The URL of a migration's target: a peer's name or an https:// URL itself. Borrowed from c or from target. */
const char *config_peer_url(const Davit__AgentConfig *c, const char *target, struct err *e);
/* Splits "ADDRESS:PORT" or "[ADDRESS]:PORT". host has 64 bytes, port 8. 0 or -1 (ERR_INVALID, field listen). */
int config_split_address(const char *text, char host[64], char port[8], struct err *e);
