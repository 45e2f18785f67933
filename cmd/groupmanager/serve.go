package main

import (
	"context"
)

func (a *app) serve(ctx context.Context, cfg *config) error { return nil }
