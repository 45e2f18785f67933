package main

import (
	"context"
	"errors"
)

// serve runs the Group Manager until ctx is done.
func (a *app) serve(ctx context.Context, cfg *config) error {
	s, err := openServer(ctx, cfg, cfg.logger(a.err))
	if err != nil {
		return err
	}
	err = s.wait(ctx)
	s.log.Info("stop")
	return errors.Join(err, s.Close())
}
