package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
	"github.com/belay-gitops/belay/sync/cluster"
)

// stored is a Sync and its journal, for the commands that read releases.
type stored struct {
	cluster *cluster.Cluster
	client  client.Client
	sync    *v1alpha1.Sync
	journal *cluster.Journal
}

// open finds the Sync of a command and its journal, with the rights of whoever runs the command.
func open(cmd *cobra.Command, flags *genericclioptions.ConfigFlags, name string) (*stored, error) {
	c, namespace, err := connect(flags)
	if err != nil {
		return nil, err
	}
	sync, err := read(cmd, c, namespace, name)
	if err != nil {
		return nil, err
	}
	config, err := flags.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	config.UserAgent = userAgent()
	there, err := cluster.Connect(config, func(types.NamespacedName) {}) // it is not started: nothing is watched
	if err != nil {
		return nil, err
	}
	journal := there.Journal(types.NamespacedName{Namespace: namespace, Name: name}, metav1.OwnerReference{UID: sync.UID})
	return &stored{cluster: there, client: c, sync: sync, journal: journal}, nil
}

func (s *stored) name() string { return s.sync.Namespace + "/" + s.sync.Name }

// records are the Sync's releases, oldest first.
func (s *stored) records(cmd *cobra.Command) ([]manifests.Record, error) {
	records, err := s.journal.Records(cmd.Context())
	return sync.Settled(records), err
}

// record finds a release among records, or names those that there are.
func (s *stored) record(records []manifests.Record, number int) (manifests.Record, error) {
	i := slices.IndexFunc(records, func(r manifests.Record) bool { return r.Number == number })
	if i < 0 {
		return manifests.Record{}, fmt.Errorf("release %d of Sync %s is not stored; %s", number, s.name(), thereAre(records))
	}
	return records[i], nil
}

func thereAre(records []manifests.Record) string {
	if len(records) == 0 {
		return "there are none"
	}
	return "there are " + manifests.Numbers(records)
}

// expectedOf names the releases that are stored if a Sync's status is right: the newest, and the one that runs where that
// is a kept one, which is never dropped. Those that people have said to go on without are left out.
func expectedOf(s *v1alpha1.Sync) []int {
	var releases []int
	if len(s.Status.History) > 0 {
		releases = append(releases, s.Status.History[0].Release)
	}
	switch s.Status.Phase {
	case v1alpha1.Kept, v1alpha1.RollingBack, v1alpha1.RolledBack, v1alpha1.RollbackFailed:
		if s.Status.Deployed != nil {
			releases = append(releases, s.Status.Deployed.Release)
		}
	}
	without := strings.Split(s.Annotations[v1alpha1.AnnotationWithout], ",")
	return slices.DeleteFunc(releases, func(number int) bool { return slices.Contains(without, strconv.Itoa(number)) })
}

// forbidden tells that whoever runs the command may not do that.
func forbidden(err error) bool {
	var e *cluster.Error
	return errors.As(err, &e) && e.Reason == "Forbidden"
}
