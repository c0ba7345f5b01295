// Workspaces, templates and skills as React hooks. What is under way is asked for again until it is not.
import { useQuery } from "@tanstack/react-query";
import { getSkill, listSkills } from "@/api/skills.ts";
import { getConfinement, getWorkspace, listBuilds, listTemplates, listWorkspaces } from "@/api/workspaces.ts";
import { isMoving, isUnderWay } from "@/lib/workspace.ts";
import { keys } from "./keys.ts";

/** Between two looks at something that moves, and at something that may begin to by itself. */
const MOVING_MS = 1_500;
const RESTING_MS = 15_000;

export const useWorkspaces = () =>
  useQuery({ queryKey: keys.workspaces, queryFn: () => listWorkspaces(), refetchInterval: ({ state }) => (state.data?.workspaces.some(isMoving) ? MOVING_MS : RESTING_MS) });

export const useWorkspace = (id: string) =>
  useQuery({ queryKey: keys.workspace(id), queryFn: () => getWorkspace(id), refetchInterval: ({ state }) => (state.data && isMoving(state.data) ? MOVING_MS : RESTING_MS) });

/** `moves`: one is under way, or is about to be. */
export const useBuilds = (id: string, moves: boolean) =>
  useQuery({ queryKey: keys.builds(id), queryFn: () => listBuilds(id), refetchInterval: ({ state }) => (moves || state.data?.some(isUnderWay) ? MOVING_MS : false) });

export const useConfinement = (id: string) => useQuery({ queryKey: keys.confinement(id), queryFn: () => getConfinement(id) });

export const useTemplates = () => useQuery({ queryKey: keys.templates, queryFn: listTemplates });

export const useSkills = () => useQuery({ queryKey: keys.skills, queryFn: listSkills });

export const useSkill = (name: string) => useQuery({ queryKey: keys.skill(name), queryFn: () => getSkill(name), enabled: name !== "" });
