// Package policy turns the documents of the AWS Network Firewall API (rule groups,
// firewall policies, variables, rule order, default actions) into one program
// that the engine runs, and checks them beforehand with AWS's error texts.
package policy
