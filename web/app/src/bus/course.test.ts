import { expect, test } from 'vitest'
import { advanceCourse, noCourse, type BusStatus } from './course'

function status(messages: number, deliveries: number): BusStatus {
  return { messages, deliveries } as BusStatus
}

test('two looks make a rate', () => {
  const course = advanceCourse(advanceCourse(noCourse, status(10, 100), 50), status(30, 160), 52)
  expect(course).toMatchObject({ times: [52], messages: [10], deliveries: [30] })
})

test('a service that was started anew has no rate until the next look', () => {
  let course = advanceCourse(noCourse, status(10, 100), 50)
  course = advanceCourse(course, status(0, 0), 52)
  expect(course.times).toEqual([])
  expect(advanceCourse(course, status(4, 4), 54).messages).toEqual([2])
})

test('the course is bounded', () => {
  let course = noCourse
  for (let second = 0; second < 1000; second += 1) course = advanceCourse(course, status(second, second), second)
  expect(course.times.length).toBe(180)
})
