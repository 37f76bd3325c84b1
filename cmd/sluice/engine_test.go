package main

import (
	"testing"

	"github.com/sluicefw/sluice/config"
	"github.com/sluicefw/sluice/engine"
)

// TestLimits: what a limit has of its own goes before the default.
func TestLimits(t *testing.T) {
	limits, err := limitsOf(&config.Config{Limits: config.Limits{
		Default: "drop-flow", Flows: "auto", Streams: "ignore", Fragments: "auto", Parsers: "reject",
	}})
	want := engine.Limits{
		engine.LimitFlows: engine.LimitDropFlow, engine.LimitStreams: engine.LimitIgnore,
		engine.LimitFragments: engine.LimitDropFlow, engine.LimitParsers: engine.LimitReject,
	}
	if err != nil || limits != want {
		t.Errorf("%v, %v, want %v", limits, err, want)
	}
	limits, err = limitsOf(config.Default())
	if err != nil || limits != (engine.Limits{}) {
		t.Errorf("nothing is configured: %v, %v", limits, err)
	}
}
