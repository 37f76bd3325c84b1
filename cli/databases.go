package cli

import (
	"github.com/spf13/cobra"

	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/geoip"
)

// databases are flags that name what rules look addresses up in.
type databases struct {
	geoip string
}

func (d *databases) flags(c *cobra.Command) {
	c.Flags().StringVar(&d.geoip, "geoip-database", "", "MaxMind database of countries that geoip asks, such as GeoLite2-Country.mmdb")
}

// open reads what is named. It stays open as long as the process runs.
func (d *databases) open() (opt detect.Options, err error) {
	if d.geoip != "" {
		db, err := geoip.Open(d.geoip)
		if err != nil {
			return opt, err
		}
		opt.Countries = db
	}
	return opt, nil
}
