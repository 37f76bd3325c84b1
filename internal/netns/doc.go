// Package netns builds throwaway network namespaces for tests: hosts with
// kernels' own TCP/IP, joined by veth pairs, without touching the machine's
// network. It works on Linux only and needs root.
//
// A test starts with Require, so that it is skipped with a printed reason
// where namespaces cannot be had, and fails there when the environment says
// CI=true: a suite that skips itself silently proves nothing.
//
// Every namespace is called sluice-<pid>-<number>-<role> and goes with the
// test that made it, together with the processes started in it. A test
// process that is killed leaves its namespaces behind; "ip netns list" shows
// them and "ip netns del" removes them.
package netns
