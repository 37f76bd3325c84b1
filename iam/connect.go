package iam

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sluicefw/sluice/store"
)

// Connect opens the directory of an installation that runs: at the etcd
// endpoints, such as unix:///var/lib/sluice/store/store.sock. The caller must
// call done when it needs the directory no more.
func Connect(ctx context.Context, endpoints []string, keyFile string) (d *Directory, done func() error, err error) {
	st, err := store.Dial(ctx, store.DialOptions{Endpoints: endpoints})
	if err != nil {
		return nil, nil, err
	}
	if d, err = Open(ctx, Options{Store: st, KeyFile: keyFile}); err != nil {
		st.Close()
		if errors.Is(err, store.ErrUnavailable) {
			err = fmt.Errorf("iam: nothing answers at %s: start sluice serve, or choose its data directory", strings.Join(endpoints, ", "))
		}
		return nil, nil, err
	}
	return d, st.Close, nil
}
