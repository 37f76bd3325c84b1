package control

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/resource"
	"github.com/sluicefw/sluice/store"
)

// destinationKeys are the keys that a destination of each type must have and
// may have.
var destinationKeys = map[string]struct{ must, may string }{
	wire.LogDestinationTypeS3:                  {"bucketName", "prefix"},
	wire.LogDestinationTypeCloudWatchLogs:      {"logGroup", ""},
	wire.LogDestinationTypeKinesisDataFirehose: {"deliveryStream", ""},
}

// UpdateLoggingConfiguration replaces the log destinations of a firewall. AWS:
// a call carries the whole list and may differ from the stored one in one
// destination; no configuration at all turns logging off.
func (c *Control) UpdateLoggingConfiguration(ctx context.Context, caller wire.Caller, in *wire.UpdateLoggingConfigurationRequest) (*wire.UpdateLoggingConfigurationResponse, error) {
	var wanted []wire.LogDestinationConfig
	if in.LoggingConfiguration != nil {
		wanted = in.LoggingConfiguration.LogDestinationConfigs
	}
	if err := checkDestinations(wanted); err != nil {
		return nil, err
	}
	var f *resource.Firewall
	err := c.change(ctx, func(t *store.Txn) error {
		r, err := c.firewall(ctx, in.FirewallArn, in.FirewallName)
		if err != nil {
			return err
		}
		f = &r.value
		if err := c.reachable(ctx, f.Logging, wanted); err != nil {
			return err
		}
		if changes := destinationChanges(f.Logging, wanted); changes > 1 {
			return invalid("Given logging configuration attempts to create/modify multiple log destination configs")
		}
		f.Logging = wanted
		if in.EnableMonitoringDashboard != nil {
			f.MonitoringDashboard = in.EnableMonitoringDashboard
		}
		replace(t, &r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.audit(ctx, caller, "UpdateLoggingConfiguration", f.ARN)
	return &wire.UpdateLoggingConfigurationResponse{
		FirewallArn: &f.ARN, FirewallName: &f.Name, LoggingConfiguration: loggingOf(f), EnableMonitoringDashboard: dashboardOf(f),
	}, nil
}

// checkTimeout bounds how long a request waits for the service of a new log
// destination. Clients wait a minute.
const checkTimeout = 10 * time.Second

// reachable asks whether records can be written to the destinations that are
// new. AWS: LogDestinationPermissionException, at configuration time.
func (c *Control) reachable(ctx context.Context, old, wanted []wire.LogDestinationConfig) error {
	if c.o.CheckLogDestination == nil {
		return nil
	}
	for _, d := range wanted {
		if slices.ContainsFunc(old, func(o wire.LogDestinationConfig) bool {
			return wire.Val(o.LogType) == wire.Val(d.LogType) && wire.Val(o.LogDestinationType) == wire.Val(d.LogDestinationType) && maps.Equal(o.LogDestination, d.LogDestination)
		}) {
			continue
		}
		checking, cancel := context.WithTimeout(ctx, checkTimeout)
		err := c.o.CheckLogDestination(checking, wire.Val(d.LogDestinationType), d.LogDestination)
		cancel()
		if err != nil {
			return wire.LogDestinationPermissionException("%s", err)
		}
	}
	return nil
}

// DescribeLoggingConfiguration returns the log destinations of a firewall.
func (c *Control) DescribeLoggingConfiguration(ctx context.Context, _ wire.Caller, in *wire.DescribeLoggingConfigurationRequest) (*wire.DescribeLoggingConfigurationResponse, error) {
	r, err := c.firewall(ctx, in.FirewallArn, in.FirewallName)
	if err != nil {
		return nil, err
	}
	f := &r.value
	return &wire.DescribeLoggingConfigurationResponse{
		FirewallArn: &f.ARN, LoggingConfiguration: loggingOf(f), EnableMonitoringDashboard: dashboardOf(f),
	}, nil
}

func loggingOf(f *resource.Firewall) *wire.LoggingConfiguration {
	configs := f.Logging
	if configs == nil {
		configs = []wire.LogDestinationConfig{}
	}
	return &wire.LoggingConfiguration{LogDestinationConfigs: configs}
}

func dashboardOf(f *resource.Firewall) *bool { return wire.Ptr(wire.Val(f.MonitoringDashboard)) }

// checkDestinations: at most one destination for each log type, with the keys
// of its destination type.
func checkDestinations(configs []wire.LogDestinationConfig) error {
	seen := map[string]bool{}
	for i, d := range configs {
		logType, destination := wire.Val(d.LogType), wire.Val(d.LogDestinationType)
		if seen[logType] {
			return invalid("Given logging configuration is unsupported.")
		}
		seen[logType] = true
		keys := destinationKeys[destination]
		if d.LogDestination[keys.must] == "" {
			return invalid("LogDestination cannot be null or empty, context: LoggingConfiguration.LogDestinationConfigs[%d].LogDestination.%s", i, keys.must)
		}
		for _, key := range slices.Sorted(maps.Keys(d.LogDestination)) {
			if key != keys.must && key != keys.may {
				return invalid("LogDestination is invalid, parameter: [%s], context: LoggingConfiguration.LogDestinationConfigs[%d].LogDestination", key, i)
			}
		}
	}
	return nil
}

// destinationChanges counts how many destinations differ. The same log type
// with another destination type is two: one removed, one added.
func destinationChanges(old, wanted []wire.LogDestinationConfig) int {
	type entry struct{ logType, destination string }
	index := func(configs []wire.LogDestinationConfig) map[entry]map[string]string {
		m := map[entry]map[string]string{}
		for _, d := range configs {
			m[entry{wire.Val(d.LogType), wire.Val(d.LogDestinationType)}] = d.LogDestination
		}
		return m
	}
	before, after := index(old), index(wanted)
	changes := 0
	for e, d := range after {
		if was, ok := before[e]; !ok || !maps.Equal(was, d) {
			changes++
		}
	}
	for e := range before {
		if _, ok := after[e]; !ok {
			changes++
		}
	}
	return changes
}
