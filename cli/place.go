package cli

import "strings"

// A place is the part of a firewall that one operation is about, as text: an
// Availability Zone, or an endpoint, which is named by its id (vpce-...) or by the
// ARN of its association.

func isEndpoint(place string) bool {
	return strings.HasPrefix(place, "vpce-") || strings.HasPrefix(place, "arn:")
}

// where names a place for people.
func where(place string) string {
	if isEndpoint(place) {
		return "endpoint " + place
	}
	return "zone " + place
}

// in is where with its preposition.
func in(place string) string {
	if isEndpoint(place) {
		return "at " + where(place)
	}
	return "in " + where(place)
}

// placeFlag is the flag that leads to a place again.
func placeFlag(place string) string {
	if isEndpoint(place) {
		return "--endpoint " + place
	}
	return "--zone " + place
}

// awsFlag is that of the aws command.
func awsFlag(place string) string {
	switch {
	case strings.HasPrefix(place, "vpce-"):
		return "--vpc-endpoint-id " + place
	case strings.HasPrefix(place, "arn:"):
		return "--vpc-endpoint-association-arn " + place
	}
	return "--availability-zone " + place
}

// scope returns the members of requests that name a place; one is set.
func scope(place string) (zone, endpoint, association *string) {
	switch {
	case strings.HasPrefix(place, "vpce-"):
		return nil, &place, nil
	case strings.HasPrefix(place, "arn:"):
		return nil, nil, &place
	}
	return &place, nil, nil
}

// checkPlaces refuses flags that name none, or both kinds.
func checkPlaces(zones, endpoints []string) error {
	if len(zones) > 0 && len(endpoints) > 0 {
		return usagef("--zone and --endpoint exclude each other: an endpoint is in one zone")
	}
	for _, e := range endpoints {
		if !isEndpoint(e) {
			return usagef("--endpoint %s: name an endpoint by its id (vpce-...) or by the ARN of its VPC endpoint association", e)
		}
	}
	return nil
}
