package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

func newGet(flags *genericclioptions.ConfigFlags) *cobra.Command {
	var o output
	var all bool
	cmd := &cobra.Command{
		Use:     "get [SYNC]",
		Short:   "List Syncs: what runs, what Git wants, and why the two differ",
		Example: "  belay get -A\n  belay get shop -n shop -o yaml",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, namespace, err := connect(flags)
			if err != nil {
				return err
			}
			list, err := find(cmd, c, namespace, all, args)
			if err != nil {
				return err
			}
			return o.print(cmd.OutOrStdout(), list, getHeader(all), getRows(list.Items, all, time.Now()))
		},
	}
	o.addTo(cmd)
	cmd.Flags().BoolVarP(&all, "all-namespaces", "A", false, "list the Syncs of all namespaces")
	flags.AddFlags(cmd.Flags())
	return cmd
}

// find reads the Syncs that the command names: one, or all of a namespace, or all.
func find(cmd *cobra.Command, c client.Client, namespace string, all bool, args []string) (*v1alpha1.SyncList, error) {
	list := &v1alpha1.SyncList{}
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("SyncList"))
	if len(args) == 1 {
		sync, err := read(cmd, c, namespace, args[0])
		if err != nil {
			return nil, err
		}
		list.Items = append(list.Items, *sync)
		return list, nil
	}
	if all {
		namespace = ""
	}
	if err := c.List(cmd.Context(), list, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("listing Syncs: %w", err)
	}
	for i := range list.Items {
		list.Items[i].SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("Sync"))
	}
	return list, nil
}

// read reads one Sync.
func read(cmd *cobra.Command, c client.Client, namespace, name string) (*v1alpha1.Sync, error) {
	sync := &v1alpha1.Sync{}
	if err := c.Get(cmd.Context(), client.ObjectKey{Namespace: namespace, Name: name}, sync); err != nil {
		return nil, fmt.Errorf("reading Sync %s/%s: %w", namespace, name, err)
	}
	sync.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("Sync"))
	return sync, nil
}

func getHeader(all bool) []string {
	header := []string{"NAME", "READY", "PHASE", "DEPLOYED", "WANTED", "IMAGES", "AGE", "MESSAGE"}
	if all {
		return append([]string{"NAMESPACE"}, header...)
	}
	return header
}

func getRows(syncs []v1alpha1.Sync, all bool, now time.Time) [][]string {
	var rows [][]string
	for _, s := range syncs {
		ready, message := "Unknown", ""
		if c := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.Ready); c != nil {
			ready, message = string(c.Status), c.Message
		}
		deployed, wanted := "-", "-"
		if s.Status.Deployed != nil {
			deployed = s.Status.Deployed.ShortCommit
		}
		if s.Status.Wanted != nil {
			wanted = s.Status.Wanted.ShortCommit
		}
		row := []string{s.Name, ready, string(s.Status.Phase), deployed, wanted, strconv.Itoa(len(s.Status.Images)),
			duration.HumanDuration(now.Sub(s.CreationTimestamp.Time)), firstLine(message)}
		if all {
			row = append([]string{s.Namespace}, row...)
		}
		rows = append(rows, row)
	}
	return rows
}
