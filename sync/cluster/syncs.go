package cluster

import (
	"fmt"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// Syncs is a client for Syncs alone, for commands.
func Syncs(config *rest.Config) (client.WithWatch, error) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	log.SetLogger(logr.Discard()) // commands speak for themselves; without a logger controller-runtime complains
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("preparing a client: %w", err)
	}
	return c, nil
}
