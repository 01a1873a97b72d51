package devplane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/go-logr/logr"

	"github.com/kuberik/kuberik/internal/devplane/reflector"
)

// startReflector runs the image reflector inside this process until Stop. It returns once its cache is filled.
func (p *Plane) startReflector(ctx context.Context) error {
	path := filepath.Join(p.Logs(), reflectorName+".log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	config := p.ids.config(reflectorName)
	config.UserAgent = reflectorName
	manager, err := reflector.New(config, logr.FromSlogHandler(slog.NewTextHandler(log, nil)))
	if err != nil {
		return errors.Join(err, log.Close())
	}
	p.running.Go(func() {
		defer log.Close() //nolint:errcheck // a log
		if err := manager.Start(p.lifetime); err != nil && p.lifetime.Err() == nil {
			p.fail(fmt.Errorf("%s ended by itself: %w; its log is %s", reflectorName, err, path))
		}
	})
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if !manager.GetCache().WaitForCacheSync(ctx) {
		return fmt.Errorf("the cache of %s is not filled; its log is %s", reflectorName, path)
	}
	return nil
}
