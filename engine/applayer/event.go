package applayer

import "strings"

// anomalyEvents are the names in records. Which are in capitals is Suricata's history.
var anomalyEvents = func() (events [numAnomalies]string) {
	for a, name := range anomalyNames {
		proto, event, ok := strings.Cut(name, ".")
		switch {
		case !ok:
			events[a] = strings.ToUpper(name)
		case proto == "http" || proto == "tls" || proto == "smtp" || proto == "dnp3" || proto == "enip":
			events[a] = strings.ToUpper(event)
		default:
			events[a] = event
		}
	}
	return events
}()

// Event returns the name in records, such as "REQUEST_LINE_INVALID".
func (a Anomaly) Event() string {
	if int(a) < numAnomalies {
		return anomalyEvents[a]
	}
	return "unknown"
}
