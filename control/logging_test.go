package control

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestLogDestinationIsAsked: a new destination is asked once, within a bound; one
// that is there already, and one that goes, are not.
func TestLogDestinationIsAsked(t *testing.T) {
	asked := 0
	var answer error
	w := newWorld(t, func(o *Options) {
		o.CheckLogDestination = func(ctx context.Context, kind string, target map[string]string) error {
			asked++
			if end, ok := ctx.Deadline(); !ok || time.Until(end) > checkTimeout {
				t.Errorf("a service may take until %v", end)
			}
			if kind != "CloudWatchLogs" || target["logGroup"] == "" {
				t.Errorf("asked for %s %v", kind, target)
			}
			return answer
		}
	})
	w.newFirewall("f", w.strictPolicy("p"), "subnet-a")
	const (
		update = `{"FirewallName":"f","LoggingConfiguration":{"LogDestinationConfigs":[%s]}}`
		alert  = `{"LogType":"ALERT","LogDestinationType":"CloudWatchLogs","LogDestination":{"logGroup":"a"}}`
		flow   = `{"LogType":"FLOW","LogDestinationType":"CloudWatchLogs","LogDestination":{"logGroup":"b"}}`
	)
	answer = errors.New("no answer")
	fail(w, w.UpdateLoggingConfiguration, "LogDestinationPermissionException", "no answer", update, alert)
	answer = nil
	do(w, w.UpdateLoggingConfiguration, update, alert)
	do(w, w.UpdateLoggingConfiguration, update, alert+","+flow)
	answer = errors.New("no answer")
	do(w, w.UpdateLoggingConfiguration, update, flow)
	if asked != 3 {
		t.Errorf("asked %d times, want 3", asked)
	}
}
