package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/registry"
	"github.com/belay-gitops/belay/sync"
)

// imagesCommand is `belay images`.
type imagesCommand struct {
	output  output
	tags    tags
	offline bool
}

func newImages(flags *genericclioptions.ConfigFlags) *cobra.Command {
	var i imagesCommand
	cmd := &cobra.Command{
		Use:   "images SYNC",
		Short: "List the images of what runs: their digests, their pods, and whether their tags have moved since",
		Long: `List the images of the release that runs: the digest that each was resolved to and when, how many of the pods that
are to run it do, what its tag stands for now, and which credentials the registry was shown. Then those that are not
pinned, and why.

What tags stand for now is asked from your machine, with your own Docker config and the pull Secrets of the pods as far
as you may read them, for at most 10 seconds; --offline leaves it out.`,
		Example: "  belay images shop -n shop\n  belay images shop -n shop --offline -o json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := open(cmd, flags, args[0])
			if err != nil {
				return err
			}
			config, err := flags.ToRESTConfig()
			if err != nil {
				return err
			}
			i.tags.refuse = apiServers(config.Host)
			return i.run(cmd, s)
		},
	}
	i.output.addTo(cmd)
	f := cmd.Flags()
	f.BoolVar(&i.offline, "offline", false, "do not ask registries what tags stand for now")
	f.StringArrayVar(&i.tags.insecure, "insecure-registry", nil, insecureRegistryUsage)
	f.StringVar(&i.tags.hostsDir, "registry-hosts-dir", "", registryHostsDirUsage)
	flags.AddFlags(f)
	return cmd
}

func (i imagesCommand) run(cmd *cobra.Command, s *stored) error {
	release, err := s.running(cmd, "the images are those of the Sync's status, and no pods are counted")
	if err != nil {
		return err
	}
	var resolver *registry.Resolver
	if !i.offline {
		if resolver, err = i.tags.resolver(); err != nil {
			return err
		}
	}
	report := newImagesReport(s.sync, release)
	var where []manifests.Image
	counted := false
	if release != nil {
		where = release.Objects.Images(placesOf(s.sync.Spec.Images.Paths))
		containers, err := s.cluster.Containers(cmd.Context(), release.Objects)
		if err != nil {
			fmt.Fprintln(cmd.ErrOrStderr(), "belay: not all pods are counted: "+err.Error())
		}
		counted = err == nil || len(containers) > 0
		report.addPods(where, containers)
	}
	if resolver != nil {
		report.askTags(cmd.Context(), s.cluster, resolver, where)
	}
	return i.print(cmd, report, counted)
}

// print writes the pinned images and, below them, the others.
func (i imagesCommand) print(cmd *cobra.Command, report imagesReport, counted bool) error {
	w := cmd.OutOrStdout()
	if err := i.output.print(w, report, imagesHeader, report.rows(time.Now(), counted)); err != nil || i.output != "" || len(report.Unpinned) == 0 {
		return err
	}
	fmt.Fprintln(w)
	return i.output.print(w, nil, unpinnedHeader, report.unpinnedRows())
}

// running reads the release that runs, or is on its way there. Who may not read it gets none, and is told what he sees
// instead.
func (s *stored) running(cmd *cobra.Command, instead string) (*manifests.Release, error) {
	records, err := s.records(cmd)
	if err == nil {
		runs := sync.StateOf(records).Running()
		if runs == nil {
			return nil, fmt.Errorf("nothing of Sync %s runs yet", s.name())
		}
		var release manifests.Release
		if release, err = s.journal.Load(cmd.Context(), runs.Number); err == nil {
			return &release, nil
		}
	}
	if !forbidden(err) {
		return nil, err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "belay: you may not read the Secrets of namespace %s, where the releases are: %s\n", s.sync.Namespace, instead)
	return nil, nil
}
