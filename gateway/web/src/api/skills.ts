// Skills a user takes along into every chat.
import { call } from "./client.ts";

export interface SkillSummary {
  name: string;
  description: string;
  updated_at: string;
}

export interface Skill extends SkillSummary {
  /** What the model reads. */
  body: string;
}

const at = (name: string) => `/users/me/skills/${encodeURIComponent(name)}`;

export const listSkills = () => call<SkillSummary[]>("GET", "/users/me/skills");
export const getSkill = (name: string) => call<Skill>("GET", at(name));
export const createSkill = (skill: { name: string; description: string; body: string }) => call<Skill>("POST", "/users/me/skills", { body: skill });
export const putSkill = (name: string, skill: { description: string; body: string }) => call<Skill>("PUT", at(name), { body: skill });
export const deleteSkill = (name: string) => call<void>("DELETE", at(name));
