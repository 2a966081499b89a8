//! Ctrl-C, SIGTERM and SIGHUP at any moment.
//! Must not know what a run does at that moment.
