/* Tells systemd how davitd stands (sd_notify(3), "Standalone Implementations"); does nothing where nobody asked by NOTIFY_SOCKET. */
#pragma once

/* Takes NOTIFY_SOCKET out of the environment and connects to it: while paths are in reach and before children are started. An owned fd, or -1. */
int notify_open(void);
/* Sends "READY=1", "STOPPING=1", …; a lost word changes nothing. */
void notify_send(int fd, const char *state);
