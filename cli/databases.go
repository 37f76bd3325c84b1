package cli

import (
	"github.com/spf13/cobra"

	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/geoip"
	"github.com/sluicefw/sluice/engine/reputation"
)

// databases are flags that name what rules look addresses up in.
type databases struct {
	geoip      string
	categories string
	lists      []string
}

func (d *databases) flags(c *cobra.Command) {
	c.Flags().StringVar(&d.geoip, "geoip-database", "", "MaxMind database of countries that geoip asks, such as GeoLite2-Country.mmdb")
	c.Flags().StringVar(&d.categories, "reputation-categories", "", "file with the categories of iprep: number,name,description on each line")
	c.Flags().StringArrayVar(&d.lists, "reputation", nil, "list that iprep looks addresses up in: address,category,score on each line; repeatable")
}

// open reads what is named.
func (d *databases) open() (opt detect.Options, err error) {
	if d.geoip != "" {
		db, err := geoip.Open(d.geoip)
		if err != nil {
			return opt, err
		}
		opt.Countries = db
	}
	if (d.categories == "") != (len(d.lists) == 0) {
		return opt, usagef("--reputation-categories and --reputation belong together: give both")
	}
	if d.categories != "" {
		table, err := reputation.Load(d.categories, d.lists)
		if err != nil {
			return opt, err
		}
		opt.Reputation = table
	}
	return opt, nil
}
